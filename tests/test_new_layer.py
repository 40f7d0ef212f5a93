"""The promise of the design: a new layer is one class, and then it exports, folds, checks and explains itself."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

import nalu_export
from nalu_export import ArithmeticLayer, build_head
from nalu_export.api.inspect import inspect
from nalu_export.formats import FormatName
from nalu_export.graph.folding import Compute, Weights


class ToyMultiplier(ArithmeticLayer):
    """``y_o = Π_i (x_i W_oi + 1 − W_oi)``, ``W = clamp(w, 0, 1)``: the NMU of Madsen and Johansen, as an outsider's."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.w = nn.Parameter(torch.rand(out_features, in_features) * 1.4 - 0.2)

    def forward(self, x: Tensor) -> Tensor:
        """``(…, in_features)`` → ``(…, out_features)``."""
        W = torch.clamp(self.w, 0.0, 1.0)
        return torch.prod(x.unsqueeze(-2) * W + (1 - W), dim=-1)


@pytest.mark.quick(5)
@pytest.mark.parametrize("name", ["onnx", "torchscript"])
@pytest.mark.parametrize("weights", ["folded", "live"])
@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_it_exports_and_checks(tmp_path: Path, name: FormatName, weights: Weights, compute: Compute) -> None:
    artifact = nalu_export.export(ToyMultiplier(5, 3), tmp_path / "toy", format=name, weights=weights, compute=compute)
    assert artifact.report.passed
    (row,) = artifact.metadata["layers"]
    assert row == {
        "path": "",
        "type": "ToyMultiplier",
        "in_features": 5,
        "out_features": 3,
        "weights": {"W": "clamp(w, 0.0, 1.0)"},
    }
    assert nalu_export.check(ToyMultiplier(5, 3), artifact).passed is False


def test_it_folds(tmp_path: Path) -> None:
    layer = ToyMultiplier(5, 3)
    path = tmp_path / "toy.onnx"
    nalu_export.export(layer, path)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    np.testing.assert_array_equal(held["W"], torch.clamp(layer.w, 0.0, 1.0).detach().numpy())
    folded = [name for name, value in held.items() if value.shape == (3, 5)]
    assert len(folded) == 2  # W and 1 − W
    assert not [node.op_type for node in onnx.load(path).graph.node if node.op_type in ("Max", "Min", "Sub")]


def test_it_saves_and_loads_without_code(tmp_path: Path) -> None:
    layer = ToyMultiplier(4, 2)
    nalu_export.save(layer, tmp_path / "toy.pt")
    loaded = nalu_export.load(tmp_path / "toy.pt")
    assert isinstance(loaded, ToyMultiplier)
    x = torch.rand(3, 4)
    assert torch.equal(loaded(x), layer(x))
    assert inspect(tmp_path / "toy.pt")["layers"][0]["type"] == "ToyMultiplier"


def test_it_is_a_head_behind_a_backbone(tmp_path: Path) -> None:
    class ToyHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.multiply = ToyMultiplier(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.multiply(self.features(x))
            return y

    artifact = nalu_export.export(ToyHead(), tmp_path / "toy.onnx", input_size=(8, 8))
    assert artifact.report.passed
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, "height", "width"]


def test_build_head_is_unaware_of_it() -> None:
    assert "ToyMultiplier" not in (build_head.__doc__ or "")
