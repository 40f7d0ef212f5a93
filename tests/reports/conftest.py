"""Reports built by hand: a pass, a failure with everything in it, and one made of hostile texts."""

import math
from typing import Any, cast

import numpy as np
import pytest

from nalu_export.parity.report import Curve, Divergence, Report, Row, RuntimeInfo, Worst

EVIL = "<script>alert('x')</script>\"&\x00\x1b[31m\n\u202e\ud800\ufffe"
LONG = "verylongname" * 200


def row(runtime: str = "onnxruntime-cpu", distribution: str = "zeros", **other: Any) -> Row:
    numbers = {"max_ratio": 0.421, "max_e": 3.87, "max_ulp": 57, "max_ulp_torch": 68, "samples": 1024, "outputs": 2048}
    rest = {"nonfinite_mismatches": 0, "wrong_zeros": 0, "undetermined": 0, "status": "passed"}
    return Row(runtime, distribution, **cast("Any", numbers | rest | other))


def runtime(name: str = "onnxruntime-cpu", *, decisive: bool = True) -> RuntimeInfo:
    return RuntimeInfo(name, "CPU, ONNX Runtime 1.31.1", {"provider": "CPUExecutionProvider", "options": ""}, decisive)


def worst(x: Any, ratio: float = 0.42, name: str = "onnxruntime-cpu") -> Worst:
    out = np.array([1.25, 1e-45, 3.0], np.float32)
    reference = np.array([1.2500001, 0.0, 3.0])
    inputs: dict[str, Any] = {"input": np.array(x, np.float32)}
    return Worst(name, "zeros", ratio, inputs, "output", out, reference, np.full(3, 1e-6), out)


@pytest.fixture
def passing() -> Report:
    return Report(
        rows=(row(distribution="0.1..1", max_e=1.04), row(), row("torch", max_e=2.21)),
        runtimes=(runtime(), runtime("torch", decisive=False)),
        criterion="bound",
        seed=7,
        missing={"onnxruntime-cuda": "no CUDA device"},
        worst=(worst([0.1, 0.0, -16777216.0]), worst(np.linspace(0, 1, 48).reshape(3, 4, 4), name="torch")),
        curves=(Curve("onnxruntime-cpu", (0.0, 1e-40, 1.0, 10.0), (0.0, 1.0, 2.0, 3.0), (5.0,) * 4, (1.0,) * 4),),
        weights={"layers.0": {"W": np.eye(3, dtype=np.float32)}, "layers.1": {"W": np.eye(70, 9, dtype=np.float32)}},
        subject={
            "model": "runs/my model.pt",
            "artifact": "model.onnx",
            "weights": "folded",
            "sizes": [[8, 8], [16, 24]],
            "layers": [{"path": "layers.0", "type": "NALUCell", "eps": 1e-10}],
            "none": None,
            "options": {"tf32": False, "scale": math.nan},
        },
        environment={"torch": "2.13.0"},
    )


@pytest.fixture
def failing() -> Report:
    bad: dict[str, Any] = {"status": "failed", "max_ratio": math.inf, "max_e": math.inf}
    return Report(
        rows=(
            row(distribution="1..10", status="failed", max_ratio=108.7, max_e=1001.0, max_ulp=8321),
            row(distribution="zeros", nonfinite_mismatches=768, **bad),
            row("tract", "ones", problem="batch refused:\x1b[31m no\nsuch shape", **bad),
            row("tract", "zeros", status="failed", max_ratio=math.nan, max_e=math.nan),
            row("torch", "zeros", status="failed", max_ratio=28.5),
        ),
        runtimes=(runtime(), runtime("tract"), runtime("torch", decisive=False)),
        criterion="bound",
        seed=0,
        worst=(worst([0.0], math.inf),),
        divergences=(
            Divergence("onnxruntime-cpu", "layers.0.log", "log(abs)", (3,), -math.inf, -23.0258509, 5.6e-6),
            Divergence("tract", reason="tract gives outputs only"),
        ),
        curves=(Curve("tract", (1.0, 1e3), (math.inf, 50.0), (9.0, 9.0), (1.0, 1.0)),),
        weights={"": {"W": np.array([[1.0, math.nan], [-3.5, 0.004]], np.float32)}},
    )


@pytest.fixture
def empty() -> Report:
    return Report((), (), "bound", 0, {"onnxruntime-cpu": "No module named 'onnxruntime'"})


@pytest.fixture
def hostile() -> Report:
    names = (EVIL, LONG)
    return Report(
        rows=tuple(row(name, name, status="failed", problem=name) for name in names),
        runtimes=tuple(RuntimeInfo(name, name, {name: name}, True, (name,)) for name in names),
        criterion=EVIL,
        seed=0,
        missing={name + "?": name for name in names},
        worst=tuple(worst([1.0], name=name) for name in names),
        divergences=tuple(Divergence(name, name, name, (0,), 1.0, 2.0, 0.1) for name in names),
        curves=tuple(Curve(name, (1.0,), (1.0,), (2.0,), (1.0,)) for name in names),
        weights={name: {name: np.zeros((2, 2), np.float32)} for name in names},
        subject={"model": EVIL, "artifact": LONG, EVIL: [{EVIL: EVIL}], "replay": [EVIL]},
        environment={name: name for name in names},
        notes=names,
    )


@pytest.fixture(params=["passing", "failing", "empty", "hostile"])
def any_report(request: pytest.FixtureRequest) -> Report:
    report: Report = request.getfixturevalue(request.param)
    return report
