"""onnxruntime_infer on the CUDA provider of the real wheel, without a device: shapes may stay on the CPU, values not.

Its kernels do nothing here. So a file that is accepted fails its check, and one that is refused does not get that far.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

import nalu_export
from examples.cpp.build import link_libraries
from nalu_export import NALU
from tests import cuda_stand_ins
from tests.examples.programs import Done, Programs

pytestmark = pytest.mark.skipif(bool(cuda_stand_ins.unavailable()), reason=cuda_stand_ins.unavailable())


class _Viewed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = NALU(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(x.view(x.size(0), 4, -1).mean(2))
        return found


class _Numbered(nn.Module):
    """Integers that are given, and some that are computed from them."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 4)
        self.head = NALU(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.head(self.table(ids.view(ids.size(0), 2, -1)).mean((1, 2)))
        return found


@pytest.fixture
def run(programs: Programs, tmp_path: Path) -> Callable[[Path, Path], Done]:
    """The program, with the wheel's libraries in place of those that it was built with."""
    library = link_libraries(Path(os.environ[cuda_stand_ins.VARIABLE], "onnxruntime", "capi"), tmp_path / "lib")
    (tmp_path / "tmp").mkdir()
    environment = {**cuda_stand_ins.environment(), "LD_PRELOAD": str(library), "TMPDIR": str(tmp_path / "tmp")}

    def run(artifact: Path, golden: Path) -> Done:
        done = programs.run("onnxruntime_infer", artifact, golden, "--provider", "cuda", **environment)
        assert list((tmp_path / "tmp").iterdir()) == []
        return done

    return run


def _files(model: nn.Module, example: Tensor, free: dict[int, str], folder: Path) -> tuple[Path, Path]:
    artifact, golden = folder / "model.onnx", folder / "golden.bin"
    given: dict[str, Any] = {"example_inputs": example}
    if free:
        given |= {"dynamic_shapes": {"x" if example.ndim == 4 else "ids": free}}
    nalu_export.export(model, artifact, check=False, **given)
    nalu_export.write_golden(model, golden, samples=2, **given)
    return artifact, golden


def test_shapes_stay_on_the_cpu_and_values_do_not(run: Callable[[Path, Path], Done], tmp_path: Path) -> None:
    artifact, golden = _files(_Viewed(), torch.randn(2, 4, 3, 5), {2: "h", 3: "w"}, tmp_path)
    done = run(artifact, golden)
    assert (done.code, done.err) == (1, "")
    assert "CUDAExecutionProvider" in done.out

    proto = onnx.load(artifact)
    assert "Shape" in {node.op_type for node in proto.graph.node}
    reshape = next(node for node in proto.graph.node if node.op_type == "Reshape")
    proto.graph.node.insert(0, helper.make_node("Sinh", [reshape.input[0]], ["sinh"], name="planted"))
    reshape.input[0] = "sinh"
    onnx.save(proto, artifact)
    done = run(artifact, golden)
    assert done.code == 3
    assert done.err.endswith(" runs a node on the CPU, for which CUDAExecutionProvider has no kernel: Sinh planted\n")


def test_a_missing_cudnn_is_no_fault_of_the_model(run: Callable[[Path, Path], Done], tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), NALU(4, 2))
    done = run(*_files(model, torch.randn(2, 4, 3, 5), {}, tmp_path))
    assert done.code == 3
    assert "cuDNN is unavailable" in done.err
    assert done.err.count("\n") == 1


def test_of_integers_nothing_stays_on_the_cpu(run: Callable[[Path, Path], Done], tmp_path: Path) -> None:
    artifact, golden = _files(_Numbered(), torch.randint(0, 8, (2, 6)), {1: "length"}, tmp_path)
    done = run(artifact, golden)
    assert done.code == 3
    assert "explicitly disabled" in done.err
