"""The property of every radius: move each argument inside its ball, evaluate, and the result stays inside its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nalu_export.primitives import PRIMITIVES, Conditioned
from nalu_export.primitives.precision import FLOAT32, FLOAT64, Precision
from tests.primitives.balls import flushing
from tests.primitives.cases import CASES, Array, Case

SLACK = 1.0 + 2.0**-20
PRECISIONS: dict[str, tuple[Precision, type]] = {"float32": (FLOAT32, np.float32), "float64": (FLOAT64, np.float64)}
# Widths of balls, relative to the number and absolute.
WIDTHS = {np.float32: ((0, 0, 2.0**-24, 1e-6, 1e-3, 0.3), (0, 0, 1e-38, 1e-8, 1e-3, 0.7)),
          np.float64: ((0, 0, 2.0**-53, 1e-12, 1e-3, 0.3), (0, 0, 1e-307, 1e-14, 1e-3, 0.7))}  # fmt: skip


def balls_around(actual: Array, seed: int) -> Conditioned:
    """Balls in which the numbers lie; what is subnormal may be read as zero, as it may be anywhere."""
    dtype = actual.dtype.type
    rng = np.random.default_rng(seed)
    relative, absolute = (rng.choice(np.array(widths), actual.shape) for widths in WIDTHS[dtype])
    exact = actual.astype(np.float64)
    tiny = float(np.finfo(dtype).tiny)
    radius = np.where(np.abs(exact) < tiny, np.maximum(absolute, np.abs(exact)), relative * np.abs(exact) + absolute)
    inside = np.where(np.abs(exact) < tiny, 0.0, rng.choice([-1.0, 0.0, 1.0, 0.5], actual.shape))
    centre = exact + inside * radius
    # Rounded up: the centre and its distance are rounded as well.
    radius = np.maximum(radius, np.abs(exact - centre)) * (1 + 2.0**-50)
    return Conditioned.exact(torch.from_numpy(centre), torch.from_numpy(radius))


def truths_around(actual: Array, seed: int) -> Conditioned:
    """Truth values, of which one in three is not known."""
    rng = np.random.default_rng(seed)
    unknown = rng.random(actual.shape) < 0.3
    value = np.where(unknown, rng.integers(0, 2, actual.shape), actual).astype(np.float64)
    return Conditioned.exact(torch.from_numpy(value), torch.from_numpy(unknown.astype(np.float64)))


def conditioned(
    name: str, case: Case, arrays: list[Array], precision: Precision
) -> tuple[Conditioned, list[Conditioned]]:
    """The balls of the arguments, and what the primitive makes of them."""
    given = [
        truths_around(array, place) if place in case.masks else balls_around(array, place + 10)
        for place, array in enumerate(arrays)
    ]
    return PRIMITIVES[name].conditioned(precision, *given, *case.rest), given


def evaluations(name: str, case: Case, arrays: list[Array]) -> list[NDArray[Any]]:
    """What correct evaluations give, in torch and in numpy, subnormal numbers kept or not."""
    functions = [case.exactly, *case.others, lambda *given: case.in_torch(name, given)]
    with np.errstate(all="ignore"):
        found = [function(*arrays) for function in functions]
        with flushing():
            found += [function(*arrays) for function in functions]
    return [np.asarray(result) for result in found]


def excess(name: str, case: Case, kind: str, seed: int) -> Tensor:
    """By how much an evaluation leaves its ball: a share of the radius, at most 1 where the rule holds; NaN: lost."""
    precision, dtype = PRECISIONS[kind]
    arrays = case.drawn(dtype, seed)
    result, given = conditioned(name, case, arrays, precision)
    with np.errstate(all="ignore"):
        centres = [x.value.numpy().astype(np.longdouble) for x in given]
        exact = np.asarray(case.exactly(*centres)).astype(np.longdouble)
        # Sums in longdouble are rounded too.
        size = (
            case.exactly(*map(np.abs, centres))
            if PRIMITIVES[name].kind == "linear" or name in ("sum", "mean")
            else exact
        )
        own = 2.0**-60 * np.abs(size)
        found = [np.abs(out.astype(np.longdouble) - exact) for out in evaluations(name, case, arrays)]
    radius = result.radius.numpy()
    inside = np.isfinite(radius) & (np.abs(result.value.numpy()) + radius <= precision.largest)
    worst = np.max([np.where(np.isnan(off), np.inf, off) for off in found], axis=0)
    with np.errstate(invalid="ignore"):
        share = np.where(worst == 0, 0.0, worst / np.maximum(radius * SLACK + own, 5e-324))
    return torch.from_numpy(np.where(inside, share, np.nan).astype(np.float64))


COMPUTING = [name for name, primitive in PRIMITIVES.items() if primitive.kind not in ("shape", "cast")]


def test_every_primitive_that_computes_has_a_case() -> None:
    assert set(CASES) == set(COMPUTING)


@pytest.mark.parametrize("kind", PRECISIONS)
@pytest.mark.parametrize("name", COMPUTING)
def test_no_evaluation_leaves_its_ball(name: str, kind: str) -> None:
    for seed in range(4):
        share = excess(name, CASES[name], kind, seed)
        known = ~torch.isnan(share)
        # Where nothing is known nothing is shown.
        assert float(known.double().mean()) > 0.4, name
        assert float(share[known].max()) <= 1.0, (name, float(share[known].max()))


@pytest.mark.parametrize("name", COMPUTING)
def test_every_radius_is_reached(name: str) -> None:
    """None is twice as wide as it has to be: somewhere an evaluation is at the edge of its ball."""
    share = excess(name, CASES[name], "float32", 0)
    assert float(share[~torch.isnan(share)].max()) > 0.9


@pytest.mark.parametrize("kind", PRECISIONS)
@pytest.mark.parametrize("name", ["log1p", "pow", "where", "sum"])
def test_a_radius_that_is_half_as_wide_is_found_out(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = PRIMITIVES[name].radius
    assert rule is not None
    halved = replace(PRIMITIVES[name], radius=lambda *arguments: rule(*arguments) / 2)
    monkeypatch.setitem(PRIMITIVES, name, halved)
    with pytest.raises(AssertionError, match=name):
        test_no_evaluation_leaves_its_ball(name, kind)


def test_a_radius_of_first_order_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def linearised(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
        return p.rounded(value, torch.exp(x.value) * x.radius, 20.0)

    monkeypatch.setitem(PRIMITIVES, "expm1", replace(PRIMITIVES["expm1"], radius=linearised))
    with pytest.raises(AssertionError, match="expm1"):
        test_no_evaluation_leaves_its_ball("expm1", "float32")
