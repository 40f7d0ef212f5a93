"""nalu_export.graph.spelling.special.types: between floating point types the function is the same one."""

import torch
from torch.nn import functional as F

from tests.graph.spelling.tables import Calls, check, check_all, check_none

SAME: Calls = {
    "contiguous": lambda x, p: torch.exp(x.contiguous()),
    "clone": lambda x, p: torch.exp(torch.clone(x)),
    "detach": lambda x, p: torch.exp(x.detach()),
    "float": lambda x, p: torch.exp(x.float()),
    "to a type": lambda x, p: torch.exp(x.to(torch.float32)),
    "to another": lambda x, p: torch.exp(x.to(p.w.dtype)),
    "type_as": lambda x, p: torch.exp(x.type_as(p.w)),
    "cpu": lambda x, p: torch.exp(x.cpu()),
    "+x": lambda x, p: torch.exp(+x),
    "dropout that is off": lambda x, p: torch.exp(F.dropout(x, 0.5, False)),
    "dropout that is off, by keyword": lambda x, p: torch.exp(F.dropout(x, training=False)),
    "torch.dropout": lambda x, p: torch.exp(torch.dropout(x, 0.5, False)),
}


def test_what_gives_back_what_it_is_given() -> None:
    for name, found in check_all(SAME, (3,), single=True).items():
        assert found.data == ("exp",), name


def test_data() -> None:
    """torch.export does not follow it."""
    assert check({"data": lambda x, p: torch.exp(x.data)}, (3,), "torch.fx")["data"].data == ("exp",)


def test_a_mask_becomes_0_and_1() -> None:
    calls: Calls = {
        "float": lambda x, p: (x > 0).float() * x,
        "to": lambda x, p: (x > 0).to(torch.float32) * x,
        "type": lambda x, p: (x > 0).type(torch.float32) * x,
        "to the type of another": lambda x, p: (x > 0).to(x) * x,
    }
    for name, found in check_all(calls, (3,), single=True).items():
        assert found.data == ("gt", "cast", "mul"), name


def test_what_stays() -> None:
    """A whole number is no mask, and what is cut off is not the same function."""
    calls: Calls = {
        "an integer": lambda x, p: (x * 3).long().float(),
        "of an integer": lambda x, p: (x * 3).int().to(x.dtype) * x,
    }
    check_none(calls, (3,))


def test_dropout_that_is_on_stays() -> None:
    from nalu_export.graph import primitive_of
    from tests.graph.spelling.tables import Table, brought

    table = Table({"on": lambda x, p: F.dropout(x, 0.5), "by keyword": lambda x, p: F.dropout(x, training=True)})
    flat = brought(table, torch.rand(3, 3), "torch.fx")
    calls = [node for node in flat.graph.nodes if node.op.startswith("call_")]
    assert [primitive_of(node) for node in calls] == [None, None]
