"""nalu_export.graph.spelling.special.convolutions: those of effective weights are matrix products of patches."""

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from tests.graph.spelling.tables import Calls, Table, check, check_all, check_none


def _weight(p: Table, *shape: int) -> Tensor:
    """An effective weight of six numbers."""
    return (torch.tanh(p.w) * torch.sigmoid(p.w)).reshape(shape)


PLANE: Calls = {
    "3 by 1": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 3, 1)),
    "1 by 3, with a bias": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 1, 3), bias=p.one),
    "one number": lambda x, p: F.conv2d(x * x, _weight(p, 3, 2, 1, 1)),
    "strides": lambda x, p: torch.conv2d(x * x, _weight(p, 1, 2, 3, 1), stride=(2, 3)),
    "dilation": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 1, 3), dilation=2),
    "both": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 1, 3), stride=2, dilation=(1, 2)),
    "valid": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 3, 1), padding="valid"),
}
PADDED: Calls = {
    "padding": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 3, 1), padding=(1, 0)),
    "padding and strides": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 1, 3), padding=2, stride=2),
}
LINE: Calls = {
    "conv1d": lambda x, p: F.conv1d(x * x, _weight(p, 1, 2, 3), stride=2),
    "clamped": lambda x, p: F.conv1d(x * x, p.w.clamp(0.6, 1.0).reshape(1, 2, 3)),
}


def test_patches_times_a_matrix() -> None:
    for calls, shape in ((PLANE, (2, 6, 7)), (LINE, (2, 9))):
        for name, found in check_all(calls, shape).items():
            assert found.data.count("linear") == 1, name


def test_zeros_around_a_map_stay_outside() -> None:
    found = check(PADDED, (2, 6, 7), "torch.fx")
    assert [one.opaque for one in found.values()] == [("torch.nn.functional.pad",)] * 2


def test_the_size_of_the_map_stays_free() -> None:
    from nalu_export.graph.evaluation import run
    from tests.graph.spelling.tables import brought

    table = Table(PLANE)
    flat: fx.GraphModule = brought(table, torch.rand(3, 2, 6, 7), "torch.fx")
    x = torch.rand(2, 2, 11, 8)
    for have, want in zip(run(flat, x)[flat.graph.output_node()], table(x), strict=True):
        torch.testing.assert_close(have, want)


def test_what_stays() -> None:
    calls: Calls = {
        "a weight as it is": lambda x, p: F.conv2d(x, p.w.reshape(1, 2, 3, 1)),
        "a normalised weight": lambda x, p: F.conv2d(x, (p.w / p.w.square().sum()).reshape(1, 2, 3, 1)),
        "groups": lambda x, p: F.conv2d(x * x, _weight(p, 2, 1, 3, 1), groups=2),
        "same": lambda x, p: F.conv2d(x * x, _weight(p, 1, 2, 3, 1), padding="same"),
    }
    check_none(calls, (2, 6, 7))
