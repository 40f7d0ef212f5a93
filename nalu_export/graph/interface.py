"""The interface of a model: its input and output tensors by name and in order, without the containers around them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.graph.structure import leaves, mapped

BATCH = "batch"
# By how many entries an axis is changed at most, to find out which sizes a model takes and which outputs follow.
MAX_STEP = 32
Shape = tuple[int, ...]
# Shapes of one sample of each input.
Sizes = tuple[Shape, ...]
# Range of the integers for an input that accepts any; float32 holds all of them exactly.
ANY_INTEGER = (-(2**20), 2**20)
# The range of small integers ends here or higher.
FEW = 10


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        name: its name in files and reports.
        argument: for an input its place in the arguments of ``forward``, ``"state[0]"``; for an output its place in the
            result.
        dtype: its type in the captured model.
        shape: sizes, with a name for each free axis. The first is ``"batch"``, except for an output that is a constant.
        range: smallest and largest integer that an integer input accepts.
    """

    name: str
    argument: str
    dtype: torch.dtype
    shape: tuple[int | str, ...]
    range: tuple[int, int] = ANY_INTEGER

    @property
    def batched(self) -> bool:
        """Whether the first axis is that of the samples."""
        return self.shape[:1] == (BATCH,)

    @property
    def free(self) -> dict[int, str]:
        """Free axes other than that of the samples: their names by axis."""
        return {axis: size for axis, size in enumerate(self.shape) if axis and isinstance(size, str)}

    def small(self, longest: int = FEW) -> tuple[int, int]:
        """Return the range of small integers that the input accepts, such as lengths and positions.

        Args:
            longest: size of the axis that they may be lengths of or positions in.
        """
        low, high = self.range
        return max(low, min(0, high)), min(high, max(longest, FEW, low))

    def fixed(self, sizes: Sequence[int]) -> "Port":
        """Return the port without free axes, except that of the samples.

        Args:
            sizes: captured sizes of all axes.
        """
        return replace(self, shape=(*self.shape[:1], *sizes[1:]) if self.batched else tuple(sizes))

    @property
    def type_name(self) -> str:
        """Name of its type in a file, ``"int64"``; floats of any type are ``"float32"``."""
        return "float32" if self.dtype.is_floating_point else str(self.dtype).removeprefix("torch.")


class Place:
    """Marks the place of a tensor in the arguments of ``forward``; not a dataclass, because those count as containers.

    Attributes:
        number: index of the tensor.
    """

    def __init__(self, number: int) -> None:
        self.number = number


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of a model.

    Attributes:
        inputs: in the order of the arguments of ``forward``.
        outputs: in the order of its result.
        arguments: ``(args, kwargs)`` of a call, with a :class:`Place` instead of each tensor.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    arguments: Any

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the free axes other than that of the samples, each once."""
        return tuple(dict.fromkeys(name for port in self.inputs for name in port.free.values()))


class Called(nn.Module):
    """Wraps a module: takes positional tensors and returns a tuple of them, whatever containers its ``forward`` uses.

    Args:
        module: the module, unchanged.
        arguments: see :class:`Interface`.
    """

    def __init__(self, module: nn.Module, arguments: Any) -> None:
        super().__init__()
        self.module = module
        self._arguments = arguments

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Call the module; leave out ``None`` in its result and turn numbers into tensors."""
        args, kwargs = arguments_with(self._arguments, tensors)
        return tuple(as_tensor(leaf) for _, leaf in leaves(self.module(*args, **kwargs)) if leaf is not None)


def arguments_with(arguments: Any, tensors: Sequence[Any]) -> Any:
    """Return ``(args, kwargs)`` of a call with these tensors."""
    return mapped(arguments, lambda leaf: tensors[leaf.number] if isinstance(leaf, Place) else leaf)


def as_tensor(leaf: Any) -> Any:
    """Return a number as a constant tensor, and any other value unchanged."""
    return torch.tensor(leaf) if isinstance(leaf, (bool, int, float)) else leaf


def positional(count: int) -> Any:
    """Return the arguments of a module that takes ``count`` positional tensors."""
    return tuple(map(Place, range(count))), {}
