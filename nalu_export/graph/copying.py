"""Copies of modules, also of those that ``copy.deepcopy`` refuses."""

import copy
from typing import Any, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def copied(module: M) -> M:
    """A deep copy; the module itself stays as it is.

    The hooks of ``torch.nn.utils.weight_norm`` and ``spectral_norm`` leave the computed weight as an attribute, and
    deepcopy refuses a tensor that was computed from parameters: such a one is detached in the copy.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, torch.Tensor) and value.requires_grad and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo)
