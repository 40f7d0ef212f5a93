"""nalu_export.graph.spelling.special.views: sizes of the run become shapes that hold for every batch."""

import torch
from torch import nn

from tests.graph.spelling.tables import Calls, check_all, check_none

FLATTENED: Calls = {
    "view of a size": lambda x, p: x.view(x.size(0), -1),
    "view of a shape": lambda x, p: x.view(x.shape[0], 6),
    "view with −1 for the samples": lambda x, p: x.view(-1, 6),
    "a tuple": lambda x, p: x.view((x.shape[0], 6)),
    "reshape": lambda x, p: x.reshape(x.size(0), 6),
    "torch.reshape": lambda x, p: torch.reshape(x, (-1, 6)),
    "flatten": lambda x, p: x.flatten(1),
    "torch.flatten": lambda x, p: torch.flatten(x, start_dim=1),
    "to the last": lambda x, p: torch.flatten(x, 1, -1),
}
AXES: Calls = {
    "transpose": lambda x, p: x.transpose(1, 2),
    "swapaxes": lambda x, p: torch.swapaxes(x, -1, -2),
    "mT": lambda x, p: x.mT,
    "permute": lambda x, p: x.permute(0, 2, 1),
    "torch.permute": lambda x, p: torch.permute(x, (0, 2, 1)),
    "movedim": lambda x, p: x.movedim(1, 2),
    "moveaxis": lambda x, p: torch.moveaxis(x, 2, 1),
    "unsqueeze": lambda x, p: x.unsqueeze(1),
    "squeeze": lambda x, p: x.unsqueeze(-1).squeeze(-1),
    "squeeze that does nothing": lambda x, p: torch.exp(x.squeeze(1)),
    "two at once": lambda x, p: x.unsqueeze(1).unsqueeze(-1).squeeze((1, -1)),
    "split in two": lambda x, p: x.view(-1, 3, 2),
    "more axes": lambda x, p: x.reshape(x.shape[0], 1, 2, 3),
}
REPEATED: Calls = {
    "expand": lambda x, p: x.unsqueeze(1).expand(-1, 4, -1, -1),
    "of a size": lambda x, p: x.unsqueeze(1).expand(x.size(0), 4, 2, 3),
    "of a parameter": lambda x, p: x * p.v.expand(2, 3),
    "expand_as": lambda x, p: x / x.sum(-1, keepdim=True).expand_as(x),
    "a parameter as another": lambda x, p: x * p.v.expand_as(p.w),
}


def test_a_flattening() -> None:
    for name, found in check_all(FLATTENED, (2, 3)).items():
        assert found.data in (("flatten",), ("reshape",)), name


def test_a_matrix_is_flat_already() -> None:
    calls: Calls = {"view": lambda x, p: x.view(x.size(0), -1) * 2.0, "flatten": lambda x, p: torch.flatten(x, 1) * 2.0}
    for name, found in check_all(calls, (3,)).items():
        assert found.data == ("mul",), name


def test_axes() -> None:
    found = check_all(AXES, (2, 3))
    assert found["transpose"].data == found["swapaxes"].data == found["mT"].data == ("transpose",)
    assert found["squeeze that does nothing"].data == ("exp",)


def test_repeated() -> None:
    found = check_all(REPEATED, (2, 3))
    assert found["expand"].data == ("unsqueeze", "expand")


def test_modules() -> None:
    class Modules(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flat, self.back, self.same = nn.Flatten(), nn.Unflatten(1, (3, 2)), nn.Identity()

    modules = Modules()
    calls: Calls = {
        "Flatten": lambda x, p: modules.flat(x),
        "Identity": lambda x, p: torch.exp(modules.same(x)),
    }
    found = check_all(calls, (2, 3))
    assert found["Flatten"].data == ("flatten",)


def test_of_parameters() -> None:
    calls: Calls = {
        "t": lambda x, p: x @ p.w.t(),
        "view": lambda x, p: x @ p.w.view(3, 2),
        "reshape": lambda x, p: x * p.w.reshape(-1)[:3],
        "a column": lambda x, p: x * p.m[:, 0].view(1, -1),
    }
    for name, found in check_all(calls, (3,)).items():
        assert set(found.data) <= {"linear", "mul"}, name


def test_what_stays() -> None:
    """Shapes that hold for one batch alone, or that another image size changes."""
    calls: Calls = {
        "the samples with the features": lambda x, p: x.view(-1) * 2.0,
        "a parameter for each sample": lambda x, p: x * p.v.expand_as(x),
    }
    check_none(calls, (3,))
    image: Calls = {
        "the rest of an image": lambda x, p: x.view(x.size(0), x.size(1), -1),
        "as an image": lambda x, p: x * x.mean((2, 3), keepdim=True).expand_as(x),
    }
    check_none(image, (2, 4, 4))
