"""Copies of modules, also of those that ``copy.deepcopy`` refuses."""

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

M = TypeVar("M", bound=nn.Module)


class Detaching(TorchFunctionMode):
    """While it is entered, deepcopy takes tensors that are part of a graph, and converts those that no module knows.

    It refuses the former otherwise; the old weight_norm and spectral_norm keep such a tensor as an attribute. The
    latter stay behind when a module is moved or cast.

    Args:
        kinds: the types that are converted.
        dtype: what to.
    """

    def __init__(self, kinds: Collection[torch.dtype] = (), dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._kinds, self._dtype = kinds, dtype

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__:
            tensor = args[0]
            cast, moved = tensor.dtype in self._kinds, tensor.device.type not in ("cpu", "meta")
            if cast or moved or tensor.requires_grad:
                return tensor.detach().to("cpu", self._dtype if cast else tensor.dtype, copy=True)
        return func(*args, **(kwargs or {}))


def type_of(module: nn.Module) -> torch.dtype:
    """float64 where a parameter or buffer is, else float32."""
    values = (*module.parameters(), *module.buffers())
    return torch.float64 if any(value.dtype == torch.float64 for value in values) else torch.float32


def copied(module: M) -> M:
    """A deep copy; the module itself stays as it is."""
    with Detaching():
        return copy.deepcopy(module)


def in_double(module: M) -> M:
    """A copy in float64, with the float32 tensors that no module knows cast as well."""
    with Detaching({torch.float32}, torch.float64):
        return copy.deepcopy(module).double()


def in_single(module: M) -> M:
    """A copy in float32, with the float64 tensors that no module knows cast as well."""
    with Detaching({torch.float64}, torch.float32):
        return copy.deepcopy(module).float()
