"""Axes that are free, that have a largest size, or that cannot be free."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

import nalu_export
from nalu_export import NALU
from tests.interfaces.nets import CASES, TIME, Lengths


class _Positions(nn.Module):
    """A vector for each place, of which there are 16."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.cell = nn.Parameter(torch.rand(16, 4)), NALU(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell((x + self.places[: x.shape[1]]).sum(1))  # type: ignore[no-any-return]


def test_an_axis_that_has_a_largest_size_stays_free(tmp_path: Path) -> None:
    options: dict[str, Any] = {"example_inputs": torch.zeros(2, 16, 4), "dynamic_shapes": {"x": {1: "time"}}}
    artifact = nalu_export.export(_Positions().eval(), tmp_path / "a.onnx", **options)
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", "time", 4]
    assert artifact.notes == ("neither the model nor the file runs on inputs of every size: time up to 16",)


def test_an_axis_of_one_size_is_fixed_and_said(tmp_path: Path) -> None:
    """The last axis of a head is that of its features, also in what looks like an image."""
    artifact = nalu_export.export(NALU(5, 2), tmp_path / "a.onnx", example_inputs=torch.zeros(2, 3, 4, 5))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 3, "height", 5]
    assert artifact.notes == ("width is fixed at 5: the model does not run at another size",)


def test_an_axis_that_cannot_stay_free_is_fixed_and_said(tmp_path: Path) -> None:
    class Unrolled(Lengths):
        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            total = torch.zeros_like(x[:, 0])
            for step in range(x.shape[1]):
                total = total + x[:, step] * (step < lengths).unsqueeze(-1)
            return self.cell(total)  # type: ignore[no-any-return]

    options: dict[str, Any] = {"example_inputs": CASES["lengths"].example, **TIME}
    artifact = nalu_export.export(Unrolled().eval(), tmp_path / "m.onnx", **options)
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 6, 4]
    (note,) = [note for note in artifact.notes if note.startswith("time is fixed at 6: ")]
    assert "loop" in note
