"""Exports and checks in several threads at once give what they give in one, to the bit."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nalu_export
from nalu_export import NALU
from nalu_export.formats import FormatName


class _Loop(nn.Module):
    """torch.fx cannot trace ``torch.zeros(x.shape[0], …)``, torch.export can."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALU(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.cell(torch.zeros(x.shape[0], 3) + x)
        return h


@cache
def _model(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "cell":
        return NALU(3, 4, 2)
    if kind == "loop":
        return _Loop()
    # How many threads compute a convolution decides how its float32 is rounded.
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NALU(3, 2)).eval()


# By torch.fx, torch.export, torch.onnx and torch.jit at once; a header is compiled nowhere here.
JOBS: tuple[tuple[str, FormatName], ...] = (
    ("CNN", "onnx"),
    ("cell", "torchscript"),
    ("loop", "onnx"),
    ("CNN", "torchscript"),
    ("cell", "cpp"),
    ("cell", "onnx"),
    ("loop", "torchscript"),
    ("CNN", "onnx"),
)


def _done(job: tuple[str, FormatName]) -> dict[str, Any]:
    """All that an export and a check give."""
    kind, format_name = job
    artifact = nalu_export.export(_model(kind), format=format_name, check=False)
    runtime = "torch" if format_name == "cpp" else None
    report = nalu_export.check(_model(kind), artifact, runtime, samples=16, search=1)
    return {"data": artifact.data, "notes": artifact.notes, "report": report.to_dict()}


@pytest.mark.slow
def test_several_threads_give_the_same_as_one() -> None:
    threads = torch.get_num_threads()
    alone = [_done(job) for job in JOBS]
    assert all(found["report"]["passed"] for found in alone)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(_done, JOBS))
    for job, expected, found in zip(JOBS, alone, together, strict=True):
        for name, value in expected.items():
            assert found[name] == value, (job, name)
    assert torch.get_num_threads() == threads
