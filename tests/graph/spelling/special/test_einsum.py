"""nalu_export.graph.spelling.special.einsum: a matrix product where it is one, else products that are summed."""

import torch

from tests.graph.spelling.tables import Calls, check_all, check_none

LINEAR: Calls = {
    "(out, in)": lambda x, p: torch.einsum("bi,oi->bo", x, p.w),
    "the weight first": lambda x, p: torch.einsum("oi,bi->bo", p.w, x),
    "(in, out)": lambda x, p: torch.einsum("bi,io->bo", x, p.m),
    "an ellipsis": lambda x, p: torch.einsum("...i,oi->...o", x, p.w),
    "blanks": lambda x, p: torch.einsum(" b i , o i -> b o ", x, p.w),
    "a list": lambda x, p: torch.einsum("bi,oi->bo", [x, p.w]),
    "a weight of two factors": lambda x, p: torch.einsum("bi,oi,oi->bo", x, torch.tanh(p.w), torch.sigmoid(p.w)),
    "a factor on each side": lambda x, p: torch.einsum("oi,bi,oi->bo", p.w, x, torch.sigmoid(p.w)),
    "capitals": lambda x, p: torch.einsum("Bi,Oi->BO", x, p.w),
}
OTHERS: Calls = {
    "a vector": lambda x, p: torch.einsum("bi,i->b", x, p.v),
    "scaled": lambda x, p: torch.einsum("bi,i->bi", x, p.v),
    "squares": lambda x, p: torch.einsum("bi,bi->b", x, x),
    "outer": lambda x, p: torch.einsum("bi,bj->bij", x, torch.exp(x)),
    "summed": lambda x, p: torch.einsum("bi->b", x),
    "each product": lambda x, p: torch.einsum("bi,oi->boi", x, p.w),
    "the other way round": lambda x, p: torch.einsum("bi,oi->boi", x, p.w).sum(1),
}
# Of samples (2, 3).
OF_MATRICES: Calls = {
    "on the last axis": lambda x, p: torch.einsum("bni,oi->bno", x, p.w),
    "turned": lambda x, p: torch.einsum("bni,oi->bon", x, p.w),
    "of data": lambda x, p: torch.einsum("bij,bkj->bik", x, x),
    "an ellipsis in the middle": lambda x, p: torch.einsum("b...i,oi->b...o", x, p.w),
    "over two axes": lambda x, p: torch.einsum("bni,ni->b", x, p.w),
    "permuted": lambda x, p: torch.einsum("bni->bin", x),
}


def test_a_matrix_product_is_linear() -> None:
    for name, found in check_all(LINEAR, (3,)).items():
        assert found.data == ("linear",), name


def test_anything_else_is_products_that_are_summed() -> None:
    found = check_all(OTHERS, (3,))
    assert found["a vector"].data == ("mul", "sum")
    assert found["scaled"].data == ("mul",)
    assert found["summed"].data == ("sum",)
    assert found["outer"].data.count("mul") == 1
    assert "sum" not in found["outer"].data


def test_of_matrices() -> None:
    found = check_all(OF_MATRICES, (2, 3))
    assert found["on the last axis"].data == ("linear",)
    assert found["an ellipsis in the middle"].data == ("linear",)
    assert "linear" not in found["of data"].data


def test_what_stays() -> None:
    calls: Calls = {
        "a diagonal": lambda x, p: torch.einsum("bii->bi", x.unsqueeze(1) * x.unsqueeze(2)),
        "an implicit result": lambda x, p: torch.einsum("bi,oi", x, p.w),
        "three": lambda x, p: torch.einsum("bi,oi,i->bo", x, p.w, p.v),
    }
    check_none(calls, (3,))
