"""benchmarks.yardstick: the unit is what it is said to be, and errors are counted in it."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import double_double, extended, extended_rules, yardstick
from benchmarks.running import Array, Run, eager
from benchmarks.yardstick import DEFAULT, EAGER, LIMIT, OURS, RANGES, ROUNDOFF, Score, measure
from nalu_export.errors import InputError
from tests.handwritten.cells import CELL_SHAPE, CELLS

ZEROS = "0..10, 30 % zeros"


class _Product(nn.Module):
    """``p·x₀·x₁·x₂ + c`` with a parameter p and a buffer c."""

    c: Tensor

    def __init__(self, c: float = 0.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(3.0))
        self.register_buffer("c", torch.tensor(c))

    def forward(self, x: Tensor) -> Tensor:
        return self.p * x.prod(1, keepdim=True) + self.c


X = np.array([[2.0, 3.0, 0.5], [1.0, -4.0, 2.5]], np.float32)


def test_the_unit_by_hand() -> None:
    """Four numbers move the product together in the all-up pattern, by four roundoffs; the buffer does not move."""
    product = 3.0 * X.astype(np.float64).prod(1, keepdims=True)
    found = yardstick.yardstick(_Product(), X)
    np.testing.assert_allclose(found.unit, 4.0 * ROUNDOFF * np.abs(product), rtol=1e-6)
    beside = yardstick.yardstick(_Product(c=1e6), X)
    np.testing.assert_allclose(beside.unit, ROUNDOFF * np.abs(product + 1e6), rtol=1e-6)
    at_zero = yardstick.yardstick(_Product(), np.zeros_like(X))
    assert at_zero.unit.tolist() == [[yardstick.SMALLEST]] * 2
    assert at_zero.counted.all()


def test_more_patterns_never_make_it_smaller() -> None:
    module, x = CELLS["LinearGate"](), RANGES["−10..10"](np.random.default_rng(0), (8, *CELL_SHAPE))
    few, many = (yardstick.yardstick(module, x, patterns).unit for patterns in (0, 8))
    assert (many >= few).all()
    assert (many > few).any()


def test_errors_in_units() -> None:
    found = yardstick.yardstick(_Product(), X)
    exact = found.output.astype(np.float32)
    assert found.errors(exact).max() <= 0.25
    off = (exact.astype(np.float64) + 1000.0 * found.unit).astype(np.float32)
    np.testing.assert_allclose(found.errors(off), 1000.0, rtol=1e-3)
    for wrong in (np.nan, np.inf, -np.inf):
        assert found.errors(np.full_like(exact, wrong)).tolist() == [[np.inf], [np.inf]]


def test_what_float32_cannot_hold_and_what_nobody_can_tell_is_left_out() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x[:, 0] * 1e38, torch.log(x[:, 1]), (torch.exp(x[:, 2]) + 1e40) - 1e40, x[:, 0]], dim=1)

    found = yardstick.yardstick(Odd(), np.array([[5.0, -1.0, 1.0]], np.float32))
    assert found.counted.tolist() == [[False, False, False, True]]
    assert found.errors(np.full((1, 4), np.nan, np.float32)).tolist() == [[0.0, 0.0, 0.0, np.inf]]


def test_float64_would_not_do() -> None:
    """``1 − σ(42)`` is 0 in float64, and here it is most of the output."""

    class Gated(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (1 - torch.sigmoid(x[:, :1])) * torch.exp(x[:, 1:2])

    found = yardstick.yardstick(Gated(), np.array([[42.0, 60.0, 0.0]], np.float32))
    assert found.counted.all()
    assert found.output.item() == pytest.approx(np.exp(18.0), rel=1e-12)


def test_eager_pytorch_cancels_where_the_gate_saturates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "WAYS", {EAGER: lambda module, _: eager(module)})
    scores = {name: measure(CELLS[name], 256, 2) for name in ("A", "LogSigmoidGate")}
    assert set(scores["A"].scores[EAGER].worst) == set(RANGES)
    assert scores["A"].scores[EAGER].worst[ZEROS] > 1e4
    assert scores["LogSigmoidGate"].scores[EAGER].within, "the same function, written as σ(z) and σ(−z)"
    assert all(line.left_out == 0 and line.outputs == 7 * 256 * 2 for line in scores.values())


def test_the_default_exporter_loses_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "WAYS", {DEFAULT: yardstick.WAYS[DEFAULT]})
    line = measure(CELLS["EpsAdded"], 16, 0)
    assert line.scores[DEFAULT].worst["all zeros"] == np.inf
    assert str(line.scores[DEFAULT]) == f"∞ ({ZEROS})"


def _refuses(module: nn.Module, path: Path) -> Run:
    raise InputError("this module " + "is like no other, " * 10)


def _breaks(module: nn.Module, path: Path) -> Run:
    raise ValueError("no\nsecond line")


def _off(module: nn.Module, path: Path) -> Run:
    right = eager(module)

    def run(x: Array) -> Array:
        y = right(x)
        y[-1] *= 1.5
        return y

    return run


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "CELLS", {name: CELLS[name] for name in ("Root", "NmuGrouped")})
    monkeypatch.setattr(yardstick, "WAYS", {DEFAULT: _breaks, EAGER: lambda module, _: eager(module), OURS: _refuses})
    section = yardstick.benchmark(quick=False)
    assert section.header == ("cell", DEFAULT, EAGER, OURS, "left out")
    assert [row[0] for row in section.rows] == ["Root", "NmuGrouped"]
    _, default, own, ours, left_out = section.rows[0]
    assert default == "fails: ValueError: no"
    assert own.endswith(")")
    assert float(own.split()[0]) < LIMIT
    assert ours.startswith("refused: this module is like no other")
    assert (len(ours), ours[-1], left_out) == (yardstick.REASON, "…", "0 of 3584")
    (target,) = section.targets
    assert not target.reached
    assert "0 of 2" in target.claim
    assert "2 of 2" in target.claim


def test_the_target_is_reached_and_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "CELLS", {"Root": CELLS["Root"]})
    for way, reached in ((lambda module, _: eager(module), True), (_off, False)):
        monkeypatch.setattr(yardstick, "WAYS", dict.fromkeys((DEFAULT, EAGER, OURS), way))
        (target,) = yardstick.benchmark(quick=True).targets
        assert target.reached == reached


def test_a_score_that_is_empty_is_not_within() -> None:
    assert not Score().within
    assert not Score(failure="fails: E: x").within
    assert Score({"a": LIMIT}).within
    assert not Score({"a": 1.0, "b": LIMIT + 1.0}).within


def test_it_knows_nothing_of_the_package() -> None:
    allowed = {"nalu_export", "nalu_export.errors"}
    for module in (yardstick, extended, extended_rules, double_double):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert {name for name in names if name.split(".")[0] == "nalu_export"} <= allowed, module.__name__
