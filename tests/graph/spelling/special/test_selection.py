"""nalu_export.graph.spelling.special.selection: masks, the larger of two, the shares of a softmax over two."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.graph.spelling.tables import Calls, check, check_all, check_none


def test_masks_and_extremes() -> None:
    calls: Calls = {
        "masked_fill": lambda x, p: x.masked_fill(x < 0, 2.0),
        "torch.masked_fill": lambda x, p: torch.masked_fill(x, x < 0, value=-1.5),
        "where": lambda x, p: torch.where(x < 0, x, 2.0),
        "Tensor.where": lambda x, p: x.where(x < 0, p.v),
        "where by keyword": lambda x, p: torch.where(condition=x < 0, input=p.v, other=x),
        "max of two": lambda x, p: torch.max(x, -x),
        "Tensor.max": lambda x, p: x.max(other=-x),
        "min of two": lambda x, p: torch.min(x, x * x),
    }
    found = check_all(calls, (3,))
    for name in ("masked_fill", "torch.masked_fill", "where", "Tensor.where", "where by keyword"):
        assert found[name].data == ("lt", "where"), name
    assert found["max of two"].data == found["Tensor.max"].data == ("neg", "maximum")
    assert found["min of two"].data == ("mul", "minimum")


def _masked(mask: Any) -> Any:
    def call(x: Tensor, p: Any) -> Tensor:
        y = x * 2.0
        y[mask(x)] = -1.5
        return y

    return call


def test_a_number_put_where_a_mask_is() -> None:
    """torch.fx cannot assign to items."""
    calls: Calls = {"of all": _masked(lambda x: x < 0), "of samples": _masked(lambda x: x[:, 0] < 0)}
    for name, found in check(calls, (3,), "torch.export").items():
        assert (found.data[-1], found.opaque) == ("where", ()), name


def test_a_softmax_over_two_is_two_sigmoids() -> None:
    calls: Calls = {
        "softmax": lambda x, p: torch.softmax(x, dim=1),
        "Tensor.softmax": lambda x, p: x.softmax(-1),
        "F.softmax": lambda x, p: F.softmax(x, dim=1),
        "stacked": lambda x, p: torch.stack([x, x * 2.0], dim=-1).softmax(-1)[..., 0] * x,
    }
    for name, found in check_all(calls, (2,)).items():
        assert found.data.count("sigmoid") == 2, name
        assert "exp" not in found.data, name


def test_its_shares_do_not_cancel() -> None:
    """Far from 0 the smaller one is tiny and not 0."""
    from tests.graph.spelling.tables import Table, brought

    flat = brought(Table({"softmax": lambda x, p: torch.softmax(x, 1)}), torch.rand(3, 2), "torch.fx").double()
    shares = flat(torch.tensor([[300.0, -300.0], [-40.0, 40.0]], dtype=torch.float64))
    torch.testing.assert_close(shares[0, 1], torch.tensor(-600.0, dtype=torch.float64).exp(), rtol=1e-13, atol=0)
    torch.testing.assert_close(shares[1, 0], torch.tensor(-80.0, dtype=torch.float64).exp(), rtol=1e-13, atol=0)


def test_what_stays() -> None:
    calls: Calls = {
        "over three": lambda x, p: torch.softmax(x, 1),
        "over the samples": lambda x, p: torch.softmax(x[:2], 0),
        "a maximum with its place": lambda x, p: x.max(1).values,
    }
    check_none(calls, (3,))
