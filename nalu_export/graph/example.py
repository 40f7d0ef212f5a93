"""An example call of a model: its tensors, their places in the arguments, and their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nalu_export.graph.interface import BATCH, Port, positional

# Names in a file for the input and the output of a model that has only one.
INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True)
class Example:
    """The call that a model is captured with.

    Attributes:
        tensors: a batch of each input, at least two samples; floats have the type of the model.
        inputs: description of each tensor.
        arguments: ``(args, kwargs)`` with a :class:`~nalu_export.graph.interface.Place` instead of each tensor.
        output_names: names of the outputs; ``None`` takes them from the result of the model.
    """

    tensors: tuple[Tensor, ...]
    inputs: tuple[Port, ...]
    arguments: Any
    output_names: Sequence[str] | None = None

    @staticmethod
    def of(*tensors: Tensor, names: Sequence[str] | None = None) -> "Example":
        """Return the example of a model that takes positional tensors; only the axis of the samples is free."""
        names = names or ([INPUT] if len(tensors) == 1 else [f"{INPUT}_{k}" for k in range(len(tensors))])
        ports = [Port(n, n, x.dtype, (BATCH, *x.shape[1:])) for n, x in zip(names, tensors, strict=True)]
        return Example(tensors, tuple(ports), positional(len(tensors)))

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.tensors[0])


def taken_names(model: nn.Module) -> set[str]:
    """Return the names that a file uses for weights: those of parameters, and those of folded constants."""
    names = set(model.state_dict())
    return names | {name.replace("_hat", "") for name in names}


def widened(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors with floats converted to float64."""
    return [x.double() if x.is_floating_point() else x for x in tensors]


def narrowed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors with floats converted to float32."""
    return [x.float() if x.is_floating_point() else x for x in tensors]
