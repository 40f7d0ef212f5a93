"""nalu_export.primitives.binding: one order of arguments for every way to write them."""

import pytest

from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.binding import bound


@pytest.mark.parametrize(
    ("args", "kwargs", "wanted"),
    [
        ((1, 2, True), {}, (1, 2, True)),
        ((1,), {"dim": 2}, (1, 2, False)),
        ((), {"self": 1, "dim": 2}, (1, 2, False)),
        ((), {"input": 1, "axis": 2, "keepdims": True}, (1, 2, True)),
        ((1, 2), {"dtype": None}, (1, 2, False)),
        ((1, 2), {"alpha": 1}, (1, 2, False)),
        ((1, 2), {"alpha": 3}, None),
        ((1, 2), {"dtype": "float"}, None),
        ((1, 2), {"dim": 2}, None),
        ((1,), {"dim": 2, "axis": 2}, None),
        ((1,), {}, None),
        ((1, 2, 3, 4), {}, None),
    ],
)
def test_arguments_in_one_order(args: tuple[object, ...], kwargs: dict[str, object], wanted: object) -> None:
    assert bound(("input", "dim", "keepdim"), {"keepdim": False}, {"alpha": 1}, args, kwargs) == wanted


def test_what_changes_nothing_may_be_given() -> None:
    assert PRIMITIVES["add"].bind((1, 2), {"alpha": 1}) == (1, 2)
    assert PRIMITIVES["add"].bind((1, 2), {"alpha": 2}) is None
    assert PRIMITIVES["div"].bind((1, 2), {"rounding_mode": None}) == (1, 2)
    assert PRIMITIVES["div"].bind((1, 2), {"rounding_mode": "floor"}) is None
    assert PRIMITIVES["sum"].bind((1,), {"dtype": None}) == (1, None, False)
    assert PRIMITIVES["where"].bind((), {"condition": 1, "self": 2, "other": 3}) == (1, 2, 3)
