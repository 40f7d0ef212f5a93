"""nalu_export.parity.inputs: every distribution holds what its name says, seeded, in several batch sizes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export.parity import inputs
from nalu_export.parity.batch import Batch
from nalu_export.parity.inputs import DISTRIBUTIONS, Draw
from tests.alone import array_of, drawn_over

Array = NDArray[np.float32]
TINY = float(np.finfo(np.float32).tiny)


def _by_distribution(shape: tuple[int, ...] = (6,), samples: int = 200, seed: int = 0) -> dict[str, Draw]:
    return {drawn.distribution: drawn for drawn in drawn_over([shape], samples, seed)}


@pytest.fixture(scope="module")
def found() -> dict[str, Array]:
    return {distribution: array_of(drawn.x) for distribution, drawn in _by_distribution().items()}


def _sizes(x: Array) -> Array:
    """Of what is not zero."""
    found: Array = np.abs(x[x != 0])
    return found


def test_every_distribution_is_drawn_in_order(found: dict[str, Array]) -> None:
    assert list(found) == list(DISTRIBUTIONS)
    assert {x.shape for x in found.values()} == {(200, 6)}


@pytest.mark.parametrize(("distribution", "low", "high"), [("0.1..1", 0.1, 1.0), ("1..10", 1.0, 10.0), ("1e3..1e4", 1e3, 1e4), ("-10..10", -10, 10)])  # fmt: skip # noqa: E501
def test_a_range_is_filled(found: dict[str, Array], distribution: str, low: float, high: float) -> None:
    x = found[distribution]
    assert low * (1 - 1e-7 * np.sign(low)) <= x.min() < low + 0.02 * (high - low)
    assert high - 0.02 * (high - low) < x.max() <= high


def test_decades_belong_to_samples(found: dict[str, Array]) -> None:
    x = found["1..1e7"]
    assert 5e6 < x.max() <= 1e7
    assert x.min() < 10
    assert (x.max(axis=1) / x.min(axis=1) <= 10.001).all()


def test_zeros_of_both_signs(found: dict[str, Array]) -> None:
    x = found["zeros"]
    assert 0.2 < (x == 0).mean() < 0.6
    assert (x[0] == 0).all()
    assert not np.signbit(x[0]).any()
    assert (x[:, 0] == 0).all()
    negative = np.signbit(x) & (x == 0)
    assert negative.any()
    assert negative.sum() < (x == 0).sum() / 2
    assert (x >= 0).all()


def test_ones(found: dict[str, Array]) -> None:
    assert set(np.unique(found["ones"])) == {-1.0, 1.0}
    assert (found["ones"][0] == 1).all()


def test_mixed_magnitudes(found: dict[str, Array]) -> None:
    for distribution in ("mixed 1e±7", "mixed, zeros"):
        sizes = _sizes(found[distribution])
        assert sizes.max() / sizes.min() > 1e12
        assert 0.99e-7 <= sizes.min() < sizes.max() <= 1.01e7
        assert found[distribution].min() < 0 < found[distribution].max()
    assert (found["mixed 1e±7"] != 0).all()
    assert 0.2 < (found["mixed, zeros"] == 0).mean() < 0.4


def test_one_feature_alone(found: dict[str, Array]) -> None:
    """Every sample has one feature of any size; the others are all 0 or all 1."""
    x = found["one feature"]
    rest = np.arange(len(x)) % 2
    assert ((x == rest[:, None]).sum(axis=1) >= 5).all()
    assert {0.0, 1.0} == {float(value) for value in rest}
    other = x[x != rest[:, None]]
    assert other.min() < -1e3
    assert np.abs(other).min() < 1e-3


def test_one_feature_of_one(found: dict[str, Array]) -> None:
    x = array_of(_by_distribution((1,))["one feature"].x)
    assert len(np.unique(x)) > 100


def test_the_smallest_numbers(found: dict[str, Array]) -> None:
    tiny, subnormal = _sizes(found["tiny"]), _sizes(found["subnormal"])
    assert 0.99e-38 <= tiny.min() < 1e-36
    assert 1e-9 < tiny.max() <= 1.01e-7
    assert (subnormal < TINY).any()
    assert (subnormal >= TINY).any()
    assert subnormal.max() < 4 * TINY
    assert (found["tiny"] < 0).any()
    assert (found["subnormal"] < 0).any()


def test_inputs_are_float32_and_finite() -> None:
    for drawn in drawn_over([(1, 3, 3), (1, 4, 5)], 10, 0, [(-3e38, 3e38)]):
        x = array_of(drawn.x)
        assert x.dtype == np.float32
        assert np.isfinite(x).all()


def test_ranges_are_more_distributions() -> None:
    more = drawn_over([(4,)], 100, 0, [(-2.5, 1e6), (3.0, 3.0)])
    found = {drawn.distribution: array_of(drawn.x) for drawn in more}
    assert list(found) == [*DISTRIBUTIONS, "-2.5..1e+06", "3..3"]
    assert found["-2.5..1e+06"].min() >= -2.5
    assert found["-2.5..1e+06"].max() > 9e5
    assert set(found["3..3"].ravel()) == {3.0}


def test_ranges_leave_the_distributions_as_they_were() -> None:
    for plain, more in zip(drawn_over([(4,)], 20, 0), drawn_over([(4,)], 20, 0, [(0.0, 1.0)]), strict=False):
        np.testing.assert_array_equal(array_of(plain.x), array_of(more.x))


def test_a_seed_is_an_input_set() -> None:
    first, again, other = _by_distribution(seed=3), _by_distribution(seed=3), _by_distribution(seed=4)
    for distribution in DISTRIBUTIONS:
        np.testing.assert_array_equal(array_of(first[distribution].x), array_of(again[distribution].x))
        assert not np.array_equal(array_of(first[distribution].x), array_of(other[distribution].x))


@pytest.mark.parametrize(("samples", "batches"), [(1, [1]), (2, [1, 1]), (3, [1, 2]), (50, [1, 2, 47])])
def test_batches_are_one_two_and_the_rest(samples: int, batches: list[int]) -> None:
    for drawn in _by_distribution(samples=samples).values():
        assert [len(x) for x in drawn.batches] == batches
        np.testing.assert_array_equal(array_of(Batch.joined(drawn.batches)), array_of(drawn.x))


def test_every_distribution_has_the_first_shape_and_one_of_the_others() -> None:
    shapes: list[tuple[int, ...]] = [(1, 4, 4), (1, 5, 7), (1, 8, 4)]
    found = [array_of(drawn.x).shape for drawn in drawn_over(shapes, 8, 0)]
    assert found[0::2] == [(7, *shapes[0])] * len(DISTRIBUTIONS)
    assert {shape[0] for shape in found[1::2]} == {1}
    assert [shape[1:] for shape in found[1::2]] == [shapes[1], shapes[2]] * (len(DISTRIBUTIONS) // 2)
    assert [len(drawn.x) for drawn in drawn_over(shapes, 1, 0)][:2] == [1, 1]


def test_a_batch_of_large_samples_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LARGEST_BATCH", 40)
    x = Batch.of(np.arange(120, dtype=np.float32).reshape(12, 10))
    found = Draw("a", x).batches
    assert [len(batch) for batch in found] == [1, 2, 4, 4, 1]
    np.testing.assert_array_equal(array_of(Batch.joined(found)), array_of(x))
