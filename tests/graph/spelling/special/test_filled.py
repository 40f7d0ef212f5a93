"""nalu_export.graph.spelling.special.filled: a tensor of one number, made in forward, is that number."""

import torch

from tests.graph.spelling.tables import HOWS, Calls, check

CALLS: Calls = {
    "ones_like": lambda x, p: torch.ones_like(x) - torch.sigmoid(x),
    "zeros_like": lambda x, p: torch.maximum(x, torch.zeros_like(x)),
    "full_like": lambda x, p: torch.abs(x) + torch.full_like(x, 1e-10),
    "a choice": lambda x, p: torch.where(x > 0, x, torch.zeros_like(x)),
    "new_ones": lambda x, p: x.new_ones(3) - x,
}


def test_it_is_the_number() -> None:
    for how in HOWS:
        found = check(CALLS, (3,), how)
        assert not {name: of.opaque for name, of in found.items() if of.opaque}, how
        assert found["ones_like"].data == ("sigmoid", "sub"), how
        assert found["zeros_like"].data == ("clamp",), how


def test_where_it_gives_the_shape_it_stays() -> None:
    calls: Calls = {
        "joined": lambda x, p: torch.cat([x, torch.zeros_like(x)], 1),
        "repeated": lambda x, p: torch.ones_like(x).unsqueeze(1) * x[:, :1].unsqueeze(-1),
    }
    for name, found in check(calls, (3,), "torch.fx").items():
        assert found.opaque, name
