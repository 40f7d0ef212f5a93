"""What a model takes and gives: its tensors by name, in order, whatever containers ``forward`` has them in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.graph.structure import leaves, mapped

BATCH = "batch"
Shape = tuple[int, ...]
# Shapes of one sample of each input.
Sizes = tuple[Shape, ...]
# Integers are drawn from a range that float32 holds exactly, where a model takes any.
ANY_INTEGER = (-(2**20), 2**20)
# Up to this one small integers go at least.
FEW = 10


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        name: that files and reports have for it.
        argument: what ``forward`` calls it: ``"state[0]"``; of an output where it stands in the result.
        dtype: of the model as it was captured.
        shape: sizes; a free axis is a name. The first is ``"batch"``, but for an output that is a constant.
        range: smallest and largest integer that an input of integers takes.
    """

    name: str
    argument: str
    dtype: torch.dtype
    shape: tuple[int | str, ...]
    range: tuple[int, int] = ANY_INTEGER

    @property
    def batched(self) -> bool:
        """Whether its first axis is that of the samples."""
        return self.shape[:1] == (BATCH,)

    @property
    def free(self) -> dict[int, str]:
        """Its free axes by place, that of the samples apart."""
        return {axis: size for axis, size in enumerate(self.shape) if axis and isinstance(size, str)}

    def small(self, longest: int = FEW) -> tuple[int, int]:
        """The smallest and the largest of the small integers that it takes, as lengths and places are.

        Args:
            longest: axis that they may be lengths or places of.
        """
        low, high = self.range
        return max(low, min(0, high)), min(high, max(longest, FEW, low))

    def fixed(self, sizes: Sequence[int]) -> "Port":
        """With no free axis but that of the samples.

        Args:
            sizes: of all axes, as they were captured.
        """
        return replace(self, shape=(*self.shape[:1], *sizes[1:]) if self.batched else tuple(sizes))

    @property
    def type_name(self) -> str:
        """``"int64"``; floats of any type are ``"float32"`` in a file."""
        return "float32" if self.dtype.is_floating_point else str(self.dtype).removeprefix("torch.")


class Place:
    """Stands in the arguments of ``forward`` where a tensor is; no dataclass, because these are containers there.

    Attributes:
        number: of the tensor.
    """

    def __init__(self, number: int) -> None:
        self.number = number


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of a model.

    Attributes:
        inputs: in the order of ``forward``.
        outputs: in the order of its result.
        arguments: ``(args, kwargs)`` of a call, with a :class:`Place` for each tensor.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    arguments: Any

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the free axes, that of the samples apart, each once."""
        return tuple(dict.fromkeys(name for port in self.inputs for name in port.free.values()))


class Called(nn.Module):
    """A module that takes its tensors one after the other and gives a tuple of them, whatever its ``forward`` has.

    Args:
        module: as it is.
        arguments: see :class:`Interface`.
    """

    def __init__(self, module: nn.Module, arguments: Any) -> None:
        super().__init__()
        self.module = module
        self._arguments = arguments

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See :class:`Called`; what is ``None`` in the result is left out, and a number is a tensor."""
        args, kwargs = arguments_with(self._arguments, tensors)
        return tuple(as_tensor(leaf) for _, leaf in leaves(self.module(*args, **kwargs)) if leaf is not None)


def arguments_with(arguments: Any, tensors: Sequence[Any]) -> Any:
    """``(args, kwargs)`` of a call with these tensors."""
    return mapped(arguments, lambda leaf: tensors[leaf.number] if isinstance(leaf, Place) else leaf)


def as_tensor(leaf: Any) -> Any:
    """A number that a model gives is a constant."""
    return torch.tensor(leaf) if isinstance(leaf, (bool, int, float)) else leaf


def positional(count: int) -> Any:
    """The arguments of a module that takes so many tensors one after the other."""
    return tuple(map(Place, range(count))), {}
