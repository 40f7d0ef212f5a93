"""The arithmetic of every header: exp and log over all floats, others over many or against float64, sums by halves."""

import math
import operator
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nalu_export.formats.cpp import header
from tests.formats.conftest import SIZES, WIDE_SIZES
from tests.formats.programs import Build, run

Numbers = NDArray[np.floating]
TYPES: dict[str, type[np.floating]] = {"float32": np.float32, "float64": np.float64}
LOW, HIGH = -0.75, 1.5

pytestmark = pytest.mark.usefixtures("_compiler")


@pytest.fixture
def _compiler(kernels: dict[Build, Path]) -> None:
    if not kernels:
        pytest.skip(Build("g++").missing())


def _said(function: str) -> float:
    """What the comment before a function says of its error, in units in the last place."""
    text = header.kernels()
    found = re.search(rf"Error at most ([0-9.]+) ulp \(measured over [a-z ]+\).*\n.* {function}\(", text)
    assert found is not None
    return float(found[1])


@pytest.mark.slow
@pytest.mark.parametrize(("function", "allowed"), [("exp", 0.95), ("log", 1.0)])
def test_every_float(kernels: dict[Build, Path], function: str, allowed: float) -> None:
    """All 2³²: zeros, infinities, NaN, negative and subnormal ones have to be exact."""
    said = _said(function)
    assert said <= allowed
    worst = {}
    for build, program in kernels.items():
        error, at, wrong, first = run(program, b"", "every", function).split()
        assert int(wrong) == 0, f"{build}: {int(wrong)} are wrong, first {first.decode()}"
        worst[build] = float(error)
        assert worst[build] <= said, f"{build}: {error.decode()} ulp at {at.decode()}"
    # And the comment does not say much more than that, also where every build fuses, which is 0.07 better.
    assert max(worst.values()) > said - 0.1


@pytest.mark.quick(1)
@pytest.mark.parametrize(("function", "allowed"), [("log1p", 1.0), ("expm1", 1.3), ("pow", 0.51)])
def test_many_floats(kernels: dict[Build, Path], function: str, allowed: float) -> None:
    """Every 64th, and of pairs 2²⁴; what the comments say is of all of them, and takes minutes."""
    said = _said(function)
    assert said <= allowed
    for error in _worst(kernels, function):
        assert said - 0.2 <= error <= said


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("function", "allowed"), [("sqrt", 0.5), *((name, 0.0) for name in ("floor", "ceil", "round"))]
)
def test_many_floats_exactly(kernels: dict[Build, Path], function: str, allowed: float) -> None:
    assert max(_worst(kernels, function)) <= allowed


def _worst(kernels: dict[Build, Path], function: str) -> list[float]:
    """The largest error of each build, in units in the last place; zeros, infinities and NaN have to be exact."""
    found = []
    for build, program in kernels.items():
        error, at, wrong, first = run(program, b"", "many", function, "64").split()
        assert int(wrong) == 0, (
            f"{build}: {int(wrong)} are wrong, first {first.decode()}; {error.decode()} at {at.decode()}"
        )
        found.append(float(error))
    return found


def _edges(dtype: type[np.floating]) -> Numbers:
    info = np.finfo(dtype)
    exact = [0.0, 0.5, 0.75, 1.0, 1.5, 2.0, float(info.tiny), float(info.smallest_subnormal), float(info.max), math.inf]
    return np.array([*exact, *(-x for x in exact), math.nan], dtype)


def _numbers(dtype: type[np.floating]) -> Numbers:
    """Of every size, as many as fill vectors."""
    rng = np.random.default_rng(0)
    size = 4096 - len(_edges(dtype))
    many = rng.standard_normal(size) * 10.0 ** rng.uniform(-30, 30, size)
    few = rng.uniform(-20, 20, 4096)
    return np.concatenate([_edges(dtype), many.astype(dtype), few.astype(dtype)])


def _applied(program: Path, function: str, x: Numbers) -> Numbers:
    name = "float64" if x.dtype == np.float64 else "float32"
    return np.frombuffer(run(program, x.tobytes(), "function", function, name), x.dtype)


EXACT: dict[str, Callable[[Numbers], Numbers]] = {
    "abs": np.abs,
    "neg": np.negative,
    # As in PyTorch, unlike numpy: 0 for NaN.
    "sign": lambda x: np.where(np.isnan(x), 0, np.sign(x)),
    "at_least": lambda x: np.where(x < LOW, LOW, x),
    "at_most": lambda x: np.where(x > HIGH, HIGH, x),
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "trunc": np.trunc,
    "logical_not": np.logical_not,
}
# Those of which a zero has a sign.
SIGNED = ("abs", "neg", "sqrt", "floor", "ceil", "round", "trunc")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("function", EXACT)
def test_exact_functions(kernels: dict[Build, Path], function: str, dtype: str) -> None:
    x = np.concatenate([_numbers(TYPES[dtype]), np.arange(-2048, 2048).astype(TYPES[dtype]) / 4])
    with np.errstate(invalid="ignore"):
        expected = EXACT[function](x).astype(TYPES[dtype])
    for program in kernels.values():
        got = _applied(program, function, x)
        np.testing.assert_array_equal(got, expected)
        if function in SIGNED:
            known = ~np.isnan(x)
            np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(expected)[known])


LIBRARY: dict[str, Callable[[Numbers], Numbers]] = {
    "tanh": np.tanh,
    "sinh": np.sinh,
    "asinh": np.arcsinh,
    "cos": np.cos,
    "sin": np.sin,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
}


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        *((name, "float32") for name in ("tanh", "sinh", "asinh", "cos", "sin", "erf")),
        *((name, "float64") for name in LIBRARY),
    ],
)
def test_functions_of_the_standard_library(kernels: dict[Build, Path], function: str, dtype: str) -> None:
    """In float32 those of float64, rounded once."""
    x = _numbers(TYPES[dtype])
    with np.errstate(all="ignore"):
        exact = LIBRARY[function](x.astype(np.float64))
        expected = exact.astype(TYPES[dtype])
        # Numpy has functions of its own, a few units of the last place of float64 away.
        half = 0.5 * np.spacing(np.abs(expected)).astype(np.float64)
        allowed = np.abs(exact) * 2.0**-50 + np.where(dtype == "float32", half, 5e-324)
    for program in kernels.values():
        got = _applied(program, function, x)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        infinite = ~np.isfinite(expected)
        np.testing.assert_array_equal(got[infinite], expected[infinite])
        finite = ~infinite
        assert (np.abs(got[finite].astype(np.float64) - exact[finite]) <= allowed[finite]).all()


def _as_torch(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Numbers, Numbers], Numbers]:
    return lambda x, y: function(torch.from_numpy(x), torch.from_numpy(y)).numpy()


OF_TWO: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "maximum": _as_torch(torch.maximum),
    "minimum": _as_torch(torch.minimum),
    **{name: _as_torch(getattr(operator, name)) for name in ("lt", "gt", "le", "ge", "eq", "ne")},
    "logical_and": _as_torch(torch.logical_and),
    "logical_or": _as_torch(torch.logical_or),
    "where": _as_torch(lambda x, y: torch.where(x != 0, y, x)),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("function", OF_TWO)
def test_functions_of_two_are_those_of_torch(kernels: dict[Build, Path], function: str, dtype: str) -> None:
    """Of every pair of edges, NaN among them."""
    x, y = (side.ravel() for side in np.meshgrid(*2 * [np.repeat(_edges(TYPES[dtype]), 8)]))
    expected = OF_TWO[function](x, y).astype(TYPES[dtype])
    for program in kernels.values():
        np.testing.assert_array_equal(_paired(program, function, x, y), expected)


def _paired(program: Path, function: str, x: Numbers, y: Numbers) -> Numbers:
    name = "float64" if x.dtype == np.float64 else "float32"
    return np.frombuffer(run(program, x.tobytes() + y.tobytes(), "pairs", function, name), x.dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_edges_of_powers_are_those_of_c(kernels: dict[Build, Path], dtype: str) -> None:
    """Zeros with their signs, infinities, NaN, negative numbers and every kind of exponent."""
    exponents = [3.0, 4.0, -3.0, -4.0, 1 / 3, -1 / 3, 2.0**24 - 1, 2.0**24, 2.0**53 - 1, 2.0**53, 1e-30, 128.0, -149.0]
    x = np.concatenate([_edges(TYPES[dtype]), np.array([3.0, -3.0, 0.9, -0.9, 1 + 1e-7, -1 - 1e-7], TYPES[dtype])])
    y = np.concatenate([_edges(TYPES[dtype]), np.array([*exponents, *(-number for number in exponents)], TYPES[dtype])])
    x, y = (side.ravel() for side in np.meshgrid(x, np.repeat(y, 8)))
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64))
        rounded = expected.astype(TYPES[dtype])
    edge = (rounded == 0) | ~np.isfinite(rounded)
    assert edge.any()
    for program in kernels.values():
        got = _paired(program, "pow", x, y)
        np.testing.assert_array_equal(got[edge], rounded[edge])
        np.testing.assert_array_equal(
            np.signbit(got), np.where(np.isnan(rounded), np.signbit(got), np.signbit(rounded))
        )
        np.testing.assert_allclose(got[~edge], rounded[~edge], rtol=float(2 * np.finfo(TYPES[dtype]).eps))


@pytest.mark.parametrize("dtype", TYPES)
def test_products_go_from_first_to_last(kernels: dict[Build, Path], dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 3, 4)).astype(TYPES[dtype])
    x[0, 3, 1, 2], x[1, 0, 0, 0] = -0.0, np.inf
    expected = x[:, 0].copy()
    for i in range(1, 5):
        expected *= x[:, i]
    for program in kernels.values():
        got = np.frombuffer(run(program, x.tobytes(), "product", "", dtype), TYPES[dtype])
        assert got.tobytes() == expected.tobytes()


def roundings(inputs: int) -> int:
    """Through which a product goes at most on its way into a sum by halves of blocks of 8."""
    return min(inputs, 8) + math.ceil(math.log2(math.ceil(inputs / 8)))


class Sums:
    """Sums over all sizes in one run of a program.

    Args:
        program: a build of kernels.cpp.
        dtype: the type that computes.
        width: outputs of the tile.
        samples: of the block.
    """

    def __init__(self, program: Path, dtype: str, width: int, samples: int) -> None:
        self.program, self.dtype, self.width, self.samples = program, dtype, width, samples
        self.sizes = SIZES if width == 1 else WIDE_SIZES

    def ratios(self, weights: list[Numbers], inputs: list[Numbers]) -> list[float]:
        """For each size the largest error in roundoffs of the sum of the absolute products.

        Args:
            weights: (N, width) for each size.
            inputs: (N, samples) for each size.
        """
        pairs = list(zip(weights, inputs, strict=True))
        given = b"".join(array.tobytes() for pair in pairs for array in pair)
        many = "many" if self.samples > 1 else "one"
        got = np.frombuffer(run(self.program, given, "linear", str(self.width), self.dtype, many), TYPES[self.dtype])
        got = got.reshape(len(pairs), self.width, self.samples)
        return [_ratio(sums, w, x) for sums, (w, x) in zip(got, pairs, strict=True)]


def _ratio(sums: Numbers, w: Numbers, x: Numbers) -> float:
    """In exact arithmetic: float64 holds a product of float32; one of float64 takes as long as it is."""
    wide = np.float64 if sums.dtype == np.float32 else np.longdouble
    exact, size = w.T.astype(wide) @ x.astype(wide), np.abs(w.T).astype(wide) @ np.abs(x).astype(wide)
    unit = np.finfo(sums.dtype).eps / 2
    error = np.abs(sums.astype(wide) - exact)
    return float(np.max(error / np.where(size > 0, size * unit, 1)))


def _lanes(program: Path, dtype: str) -> int:
    return int(run(program, b"", "lanes")) * 4 // np.dtype(dtype).itemsize


def _every_sum(sums: dict[Build, Path], dtype: str) -> list[Sums]:
    return [
        Sums(program, dtype, width, samples)
        for program in sums.values()
        for width in (1, 2, 4, 8, 16)
        for samples in (1, 2 * _lanes(program, dtype))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES)
def test_a_sum_goes_through_few_roundings(sums: dict[Build, Path], dtype: str) -> None:
    """One large product among many that are half a unit of its last place each: a chain loses all of those after it."""
    unit = np.finfo(TYPES[dtype]).eps / 2
    chains = 0
    for kind in _every_sum(sums, dtype):
        for start in (0, 3, 8, 64):
            weights, inputs = [], []
            for size in kind.sizes:
                x = np.full((size, kind.samples), unit)
                x[min(start, size - 1)] = 1
                weights.append(np.ones((size, kind.width), TYPES[dtype]))
                inputs.append(x.astype(TYPES[dtype]))
            for size, ratio in zip(kind.sizes, kind.ratios(weights, inputs), strict=True):
                assert ratio <= roundings(size), f"{size} inputs, {kind.width} outputs, {kind.samples} samples"
                chains += size - 1 > roundings(size)
    assert chains


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES)
def test_sums_of_random_products(sums: dict[Build, Path], dtype: str) -> None:
    rng = np.random.default_rng(0)
    for kind in _every_sum(sums, dtype):
        weights = [rng.uniform(-1, 1, (size, kind.width)).astype(TYPES[dtype]) for size in kind.sizes]
        inputs = [rng.standard_normal((size, kind.samples)).astype(TYPES[dtype]) for size in kind.sizes]
        for size, ratio in zip(kind.sizes, kind.ratios(weights, inputs), strict=True):
            # Without a fused multiply-add each product is rounded as well.
            assert ratio <= roundings(size) + 1, f"{size} inputs, {kind.width} outputs, {kind.samples} samples"
