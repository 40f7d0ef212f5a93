"""The error of a kernel in ulp: kernels made wrong on purpose are seen to be."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cuda_setup import Setup
from benchmarks.probe import ulp
from benchmarks.probe.context import Context
from benchmarks.probe.errors import Errors, errors
from benchmarks.probe.operators import OPERATORS, Array, Operator

NAMED = {operator.name: operator for operator in OPERATORS}
TINY = np.finfo(np.float32).tiny


def _right(operator: Operator, operands: list[Array]) -> Array:
    with np.errstate(all="ignore"):
        found: Array = operator.exact(*(x.astype(np.float64) for x in operands)).astype(np.float32)
    return found


def _found(name: str, change: Callable[[list[Array], Array], Array] = lambda _, out: out) -> Errors:
    operands = ulp.grid(NAMED[name], np.float32, quick=True)
    return errors(NAMED[name], operands, change(operands, _right(NAMED[name], operands)))


def _flushed(x: Array) -> Array:
    found: Array = np.where(np.abs(x) < TINY, np.copysign(np.float32(0), x), x)
    return found


@pytest.mark.parametrize("name", NAMED)
def test_the_rounded_value_is_half_an_ulp_off(name: str) -> None:
    found = _found(name)
    assert 0.4 < found.ulp <= 0.5
    assert found.roundoffs <= 1
    assert (found.beyond, found.wrong) == (0, 0)
    assert ulp.cells(found, NAMED[name].allowance)[4] == "holds"
    assert {found.inputs, found.outputs} <= {"kept", "no difference"}


@pytest.mark.parametrize("name", ["Exp", "Log", "Tanh", "Cos", "Sqrt", "Div"])
def test_more_than_is_allowed_is_seen(name: str) -> None:
    allowance = NAMED[name].allowance
    far = 2 * allowance * 2.0**-24
    found = _found(name, lambda _, out: (out.astype(np.float64) * (1 + far)).astype(np.float32))
    assert found.beyond > 100
    assert allowance < found.roundoffs < 3 * allowance
    assert ulp.cells(found, allowance)[4].startswith("EXCEEDS: ")
    near = _found(name, lambda _, out: (out.astype(np.float64) * (1 + far / 16)).astype(np.float32))
    assert near.beyond == 0


def test_an_allowance_of_nothing_is_exceeded(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ulp, "OPERATORS", [replace(NAMED["Log"], allowance=0.0)])
    rows = ulp.table(Context(setup, quick=True), np.float32).rows
    assert [row[2] for row in rows] == ["onnxruntime", "torch"]
    assert all(row[7].startswith("EXCEEDS: ") for row in rows)


def test_a_cosine_near_its_zero_is_held_to_one() -> None:
    """Absolute: what is 8 roundoffs of 1 is any number of ulp there."""
    off = np.float32(4 * 2.0**-24)
    found = _found("Cos", lambda _, out: np.clip(out + off, -1, 1))
    assert found.beyond == 0
    assert found.ulp > 1000
    assert found.roundoffs < 6


def test_the_worst_operand_is_named() -> None:
    def spoilt(operands: list[Array], out: Array) -> Array:
        out[operands[0] == 1.5] *= np.float32(1 + 1e-4)
        return out

    operands = [np.array([1.25, 1.5, 1.75], np.float32)]
    found = errors(NAMED["Exp"], operands, spoilt(operands, _right(NAMED["Exp"], operands)))
    assert found.worst == "1.5"
    assert found.beyond == 1


@pytest.mark.parametrize("name", ["Log", "Tanh", "Sqrt", "Sin"])
def test_operands_that_are_flushed(name: str) -> None:
    found = _found(name, lambda operands, _: _right(NAMED[name], [_flushed(x) for x in operands]))
    assert found.inputs == "flushed to 0"
    assert (found.beyond, found.wrong) == (0, 0)


@pytest.mark.parametrize("name", ["Exp", "Div", "Pow"])
def test_values_that_are_flushed(name: str) -> None:
    found = _found(name, lambda _, out: _flushed(out))
    assert found.outputs == "flushed to 0"
    assert (found.beyond, found.wrong) == (0, 0)


def test_values_that_should_be_finite_or_not() -> None:
    early = _found("Exp", lambda operands, out: np.where(operands[0] > 88, np.float32(np.inf), out))
    assert early.wrong > 10
    assert "not finite" in ulp.cells(early, 8)[4]
    assert _found("Log", lambda _, out: np.nan_to_num(out, nan=0.0, posinf=np.inf, neginf=-np.inf)).wrong > 1000
    assert _found("Sqrt", lambda _, out: np.where(np.isinf(out), np.float32(np.nan), out)).wrong == 1
    assert _found("Sinh", lambda _, out: np.where(np.isinf(out), np.abs(out), out)).wrong > 100


def test_a_kernel_that_is_missing_is_a_cell(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ulp, "OPERATORS", [replace(NAMED["Exp"], name="NoSuchOperator")])
    rows = ulp.table(Context(setup, quick=True), np.float32).rows
    assert "No Op registered for NoSuchOperator" in rows[0][3]
    assert rows[1][7] == "holds"


def test_where_no_type_is_wider(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ulp, "wider", lambda _: np.float64)
    context = Context(setup, quick=True)
    assert ulp.table(context, np.float64).rows == ()
    assert context.skipped == ["ulp: float64 kernels: numpy has no wider type here"]


def test_the_grid_has_every_exponent_and_sign() -> None:
    (x,) = ulp.grid(NAMED["Log"], np.float32, quick=False)
    _, exponents = np.frexp(x[np.isfinite(x)])
    assert set(range(-140, 129)) <= set(exponents.tolist())
    for part in (x < 0, (x != 0) & (np.abs(x) < TINY), np.isnan(x), np.isinf(x), x == 0):
        assert part.any()
    assert np.unique(x[(x > 0.9999) & (x < 1.0001)]).size > 2000


@pytest.fixture
def setup() -> Setup:
    return Setup("cpu", "CPUExecutionProvider", ("onnxruntime-cpu",), "torch", "torchscript")
