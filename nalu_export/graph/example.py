"""A call of a model: the tensors that it is given, where they stand in its arguments, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nalu_export.graph.interface import BATCH, Port, positional

# What a file calls the input of a model that has one, and its output.
INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True)
class Example:
    """What a model is captured with.

    Attributes:
        tensors: a batch of each input, at least two samples, of the model's own type where they are floats.
        inputs: what they are.
        arguments: ``(args, kwargs)`` with a :class:`~nalu_export.graph.interface.Place` for each tensor.
        output_names: of its outputs, ``None`` for those that its result suggests.
    """

    tensors: tuple[Tensor, ...]
    inputs: tuple[Port, ...]
    arguments: Any
    output_names: Sequence[str] | None = None

    @staticmethod
    def of(*tensors: Tensor, names: Sequence[str] | None = None) -> "Example":
        """Of a model that takes tensors one after the other, with no free axis but the samples."""
        names = names or ([INPUT] if len(tensors) == 1 else [f"{INPUT}_{k}" for k in range(len(tensors))])
        ports = [Port(n, n, x.dtype, (BATCH, *x.shape[1:])) for n, x in zip(names, tensors, strict=True)]
        return Example(tensors, tuple(ports), positional(len(tensors)))

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.tensors[0])


def taken_names(model: nn.Module) -> set[str]:
    """Names that a file gives to weights: those of the parameters, and of what is folded from them."""
    names = set(model.state_dict())
    return names | {name.replace("_hat", "") for name in names}


def widened(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The floats among them in float64."""
    return [x.double() if x.is_floating_point() else x for x in tensors]


def narrowed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The floats among them in float32."""
    return [x.float() if x.is_floating_point() else x for x in tensors]
