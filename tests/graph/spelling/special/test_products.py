"""nalu_export.graph.spelling.special.products: with a matrix of parameters every product is ``linear``."""

import operator

import torch
from torch.nn import functional as F

from tests.graph.spelling.tables import Calls, check_all, check_none

LINEAR: Calls = {
    "x @ W.T": lambda x, p: x @ p.w.T,
    "x @ M": lambda x, p: x @ p.m,
    "operator": lambda x, p: operator.matmul(x, p.w.t()),
    "torch.matmul": lambda x, p: torch.matmul(x, p.w.transpose(0, 1)),
    "Tensor.matmul": lambda x, p: x.matmul(p.w.transpose(-1, -2)),
    "torch.mm": lambda x, p: torch.mm(x, p.w.swapaxes(0, 1)),
    "Tensor.mm": lambda x, p: x.mm(p.w.mT),
    "by keyword": lambda x, p: torch.matmul(x, other=p.w.permute(1, 0)),
    "F.linear": lambda x, p: F.linear(x, weight=p.w),
    "of a computed weight": lambda x, p: x @ (torch.tanh(p.w) * torch.sigmoid(p.w)).T,
    "with a bias": lambda x, p: F.linear(x, p.w, p.b),
}
MORE: Calls = {
    "x @ v": lambda x, p: x @ p.v,
    "mv": lambda x, p: torch.mv(x, p.v),
    "F.linear of a vector": lambda x, p: F.linear(x, p.v),
    "addmm": lambda x, p: torch.addmm(p.b, x, p.m),
    "Tensor.addmm": lambda x, p: p.b.addmm(x, p.w.T),
    "addmm, scaled": lambda x, p: torch.addmm(p.b, x, p.m, beta=0.5, alpha=-2),
    "addmm without the bias": lambda x, p: torch.addmm(p.b, x, p.m, beta=0),
    "addmv": lambda x, p: torch.addmv(p.one, x, p.v),
}


def test_a_matrix_of_parameters() -> None:
    for name, found in check_all(LINEAR, (3,)).items():
        assert found.data == ("linear",), name


def test_vectors_and_sums() -> None:
    found = check_all(MORE, (3,))
    assert found["x @ v"].data == found["mv"].data == ("linear", "squeeze")
    assert found["addmm"].data == ("linear", "add")
    assert found["addmm without the bias"].data == ("linear",)


def test_on_the_last_axis() -> None:
    calls: Calls = {
        "linear": lambda x, p: x @ p.w.T,
        "a vector": lambda x, p: x @ p.v,
        "of data": lambda x, p: x @ x.transpose(1, 2),
        "bmm": lambda x, p: torch.bmm(x, x.mT),
        "baddbmm": lambda x, p: torch.baddbmm(p.one, x, x.mT, beta=2.0),
    }
    found = check_all(calls, (2, 3))
    assert found["linear"].data == ("linear",)
    assert found["bmm"].data == found["of data"].data == ("transpose", "matmul")


def test_a_data_matrix_is_no_weight() -> None:
    found = check_all({"of data": lambda x, p: x @ (x.mean(0) * p.w).T}, (3,))
    assert "linear" not in found["of data"].data


def test_what_stays() -> None:
    check_none({"dot": lambda x, p: torch.dot(x[:, 0], x[:, 0])}, (3,))
