"""nalu_export.graph.spelling.fields: fields of named tuples are read by their places."""

import operator
from typing import NamedTuple

import torch
from torch import Tensor

from tests.graph.spelling.tables import Calls, Table, brought, check


class _Pair(NamedTuple):
    low: Tensor
    high: Tensor


CALLS: Calls = {
    "sort": lambda x, p: x.sort(1).values,
    "max": lambda x, p: x.max(1).values * 2.0,
    "topk": lambda x, p: torch.topk(x, 2).values,
    "places": lambda x, p: x.gather(1, x.sort(1).indices),
    "a tuple of the user": lambda x, p: _Pair(x, torch.exp(x)).high,
}


def test_a_field_is_a_place() -> None:
    check(CALLS, (3,), "torch.fx")
    flat = brought(Table(CALLS), torch.rand(3, 3), "torch.fx")
    assert not [node for node in flat.graph.nodes if node.target is getattr]
    assert sum(node.target is operator.getitem for node in flat.graph.nodes) >= 4
