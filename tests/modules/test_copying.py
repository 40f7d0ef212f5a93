"""nalu_export.modules.copying: copies of modules that deepcopy refuses."""

import copy

import pytest
import torch
from torch import Tensor, nn

from nalu_export.modules.copying import copied, in_double


class _Keeping(nn.Module):
    """Keeps what it computed, which is part of a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor) -> Tensor:
        self.last = x * self.w
        return self.last


def test_a_computed_tensor_is_detached_in_the_copy_alone() -> None:
    module = _Keeping()
    module(torch.rand(2, 3))
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(module)
    made = copied(module)
    assert not made.last.requires_grad
    assert module.last.requires_grad
    assert torch.equal(made.last, module.last)
    made.double()
    with torch.no_grad():
        made.w.zero_()
    assert module.w.dtype == torch.float32
    assert bool((module.w > 0).any())


class _Attribute(nn.Module):
    """Reads a tensor that no module knows."""

    def __init__(self) -> None:
        super().__init__()
        self.table = [torch.eye(3)]

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.table[0]


def test_what_no_module_knows_is_cast_too() -> None:
    module = _Attribute()
    x = torch.rand(2, 3, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="dtype"):
        copied(module).double()(x)
    assert torch.equal(in_double(module)(x), x)
    assert module.table[0].dtype == torch.float32
