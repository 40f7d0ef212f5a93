"""A case for each layer that a checkpoint can describe."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, NACCell, NALUCell, build_head
from nalu_export.nn import ClampedNALUCell, LoglessNALUCell, NACExactCell, SignedNALUCell, SinhNALUCell

Model = Callable[[], nn.Module]

IMAGE = (2, 4, 8, 8)
ROW = (3, 4)
SERIES = (2, 4, 9)

# For each listed torch layer: ways to build it that touch its arguments, and the shape of an input.
STOCK_CASES: dict[str, tuple[tuple[int, ...], list[Model]]] = {
    "AdaptiveAvgPool2d": (IMAGE, [lambda: nn.AdaptiveAvgPool2d(2), lambda: nn.AdaptiveAvgPool2d((None, 3))]),
    "AdaptiveMaxPool2d": (IMAGE, [lambda: nn.AdaptiveMaxPool2d(2), lambda: nn.AdaptiveMaxPool2d((3, 1))]),
    "AvgPool2d": (
        IMAGE,
        [
            lambda: nn.AvgPool2d(2),
            lambda: nn.AvgPool2d((3, 2), 1, 1, ceil_mode=True, count_include_pad=False, divisor_override=5),
        ],
    ),
    "BatchNorm1d": (ROW, [lambda: nn.BatchNorm1d(4), lambda: nn.BatchNorm1d(4, 1e-3, 0.2, affine=False)]),
    "BatchNorm2d": (IMAGE, [lambda: nn.BatchNorm2d(4), lambda: nn.BatchNorm2d(4, track_running_stats=False)]),
    "Conv1d": (SERIES, [lambda: nn.Conv1d(4, 6, 3), lambda: nn.Conv1d(4, 6, 3, 2, 1, 2, 2, False, "circular")]),
    "Conv2d": (
        IMAGE,
        [
            lambda: nn.Conv2d(4, 6, 3),
            lambda: nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=2, groups=2, bias=False),
            lambda: nn.Conv2d(4, 6, 3, padding="same", padding_mode="reflect"),
        ],
    ),
    "Dropout": (ROW, [lambda: nn.Dropout(0.3)]),
    "Dropout2d": (IMAGE, [lambda: nn.Dropout2d(0.3)]),
    "ELU": (ROW, [nn.ELU, lambda: nn.ELU(0.3)]),
    "Flatten": (IMAGE, [nn.Flatten, lambda: nn.Flatten(2), lambda: nn.Flatten(1, 2)]),
    "GELU": (ROW, [nn.GELU, lambda: nn.GELU("tanh")]),
    "GroupNorm": (IMAGE, [lambda: nn.GroupNorm(2, 4), lambda: nn.GroupNorm(4, 4, 1e-2, affine=False)]),
    "Hardswish": (ROW, [nn.Hardswish]),
    "Identity": (ROW, [nn.Identity]),
    "LayerNorm": (
        ROW,
        [
            lambda: nn.LayerNorm(4),
            lambda: nn.LayerNorm([4], 1e-2, bias=False),
            lambda: nn.LayerNorm(4, elementwise_affine=False),
        ],
    ),
    "LeakyReLU": (ROW, [nn.LeakyReLU, lambda: nn.LeakyReLU(0.3)]),
    "Linear": (ROW, [lambda: nn.Linear(4, 3), lambda: nn.Linear(4, 3, bias=False)]),
    "LogSoftmax": (ROW, [lambda: nn.LogSoftmax(0), lambda: nn.LogSoftmax(-1)]),
    "MaxPool2d": (IMAGE, [lambda: nn.MaxPool2d(2), lambda: nn.MaxPool2d((3, 2), 1, 1, 2, ceil_mode=True)]),
    "ReLU": (ROW, [nn.ReLU, lambda: nn.ReLU(inplace=True)]),
    "ReLU6": (ROW, [nn.ReLU6]),
    "SiLU": (ROW, [nn.SiLU]),
    "Sigmoid": (ROW, [nn.Sigmoid]),
    "Softmax": (ROW, [lambda: nn.Softmax(0), lambda: nn.Softmax(-1)]),
    "Softplus": (ROW, [nn.Softplus, lambda: nn.Softplus(2.0, 3.0)]),
    "Tanh": (ROW, [nn.Tanh]),
    "ZeroPad2d": (IMAGE, [lambda: nn.ZeroPad2d(1), lambda: nn.ZeroPad2d((1, 0, 2, 3))]),
}

_BACKBONE = nn.Sequential(nn.Conv2d(4, 3, 3), nn.ReLU())
OWN_CASES: dict[str, tuple[tuple[int, ...], list[Model]]] = {
    "NACCell": (ROW, [lambda: NACCell(4, 3), lambda: NACCell(4, 3, stored=True)]),
    "NALUCell": (ROW, [lambda: NALUCell(4, 3), lambda: NALUCell(4, 3, 1e-5, False, "row", init="xavier_uniform")]),
    "ClampedNALUCell": (ROW, [lambda: ClampedNALUCell(4, 3), lambda: ClampedNALUCell(4, 3, 1e-3, 0.1, 9.0, False)]),
    "SinhNALUCell": (ROW, [lambda: SinhNALUCell(4, 3), lambda: SinhNALUCell(4, 3, stored=True)]),
    "SignedNALUCell": (ROW, [lambda: SignedNALUCell(4, 3), lambda: SignedNALUCell(4, 3, 1e-3, "row")]),
    "LoglessNALUCell": (ROW, [lambda: LoglessNALUCell(4, 3), lambda: LoglessNALUCell(4, 3, 1e-3)]),
    "NACExactCell": (ROW, [lambda: NACExactCell(4, 3)]),
    "NAC": (ROW, [lambda: NAC(4, 3), lambda: NAC(4, 3, 2, stored=True), lambda: NAC(4, 5, 6, 2)]),
    "NALU": (
        ROW,
        [
            lambda: NALU(4, 3),
            lambda: NALU(4, 5, 2, eps=1e-3, tied=False),
            lambda: NALU(4, 2, gate="row"),
            lambda: NALU(4, 3, 2, gate="constant", stored=True),
            lambda: NALU(4, 3, tied=False, two_gates=True, gate_bias=True),
        ],
    ),
    "BackboneHead": (
        IMAGE,
        [
            lambda: build_head(_BACKBONE, 3, [5, 4], "classification", 6, eps=1e-6, gate="row"),
            lambda: build_head(_BACKBONE, 3, (5,), "regression", 1, "NAC", "sum", init="kaiming_normal"),
            lambda: build_head(_BACKBONE, 3, [5], "regression", 1, pool=None, feature_size=(6, 6), tied=False),
        ],
    ),
}
CASES = [
    pytest.param(make, shape, id=f"{name} {index}")
    for name, (shape, makers) in (STOCK_CASES | OWN_CASES).items()
    for index, make in enumerate(makers)
]


def randomised(model: nn.Module) -> nn.Module:
    """The model in eval mode, with no weight or statistic at its default."""
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.1, 0.9)
    return model.eval()
