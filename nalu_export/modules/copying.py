"""Copies modules, also those that ``copy.deepcopy`` refuses."""

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

M = TypeVar("M", bound=nn.Module)


class Detaching(TorchFunctionMode):
    """While this is active, ``copy.deepcopy`` detaches tensors, moves them to the CPU and converts some types.

    Without it, deepcopy refuses a tensor that is part of an autograd graph; the old weight_norm and spectral_norm keep
    such a tensor as an attribute. ``module.to`` does not move or convert tensors that are plain attributes, neither
    parameter nor buffer; a copy made in this mode does. Tensors on the meta device stay there.

    Args:
        kinds: types to convert.
        dtype: type to convert them to.
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
    """Return float64 if any parameter or buffer is float64, else float32."""
    values = (*module.parameters(), *module.buffers())
    return torch.float64 if any(value.dtype == torch.float64 for value in values) else torch.float32


def copied(module: M) -> M:
    """Return a deep copy on the CPU; ``module`` itself is not changed."""
    with Detaching():
        return copy.deepcopy(module)


def in_double(module: M) -> M:
    """Return a copy on the CPU in float64. Float32 tensors that are plain attributes are converted too."""
    with Detaching({torch.float32}, torch.float64):
        return copy.deepcopy(module).double()


def in_single(module: M) -> M:
    """Return a copy on the CPU in float32. Float64 tensors that are plain attributes are converted too."""
    with Detaching({torch.float64}, torch.float32):
        return copy.deepcopy(module).float()
