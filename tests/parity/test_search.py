"""nalu_export.parity.search: seeded, in range, and it finds corners that no distribution holds."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export.parity import search
from nalu_export.parity.batch import Batch
from nalu_export.parity.search import PARENTS, SearchOptions
from tests.alone import array_of, drawn_over, port

Array = NDArray[np.float32]
Double = NDArray[np.float64]
OPTIONS = SearchOptions(40, 64)
MAX = float(np.finfo(np.float32).max)


def climb(score: Callable[[Array], Double], start: Array, options: SearchOptions, seed: int) -> None:
    """A search over the one input of a model."""
    search.climb(lambda x: score(array_of(x)), [port(*start.shape[1:])], Batch.of(start), options, seed)


class _Recorder:
    """Remembers every batch and its scores."""

    def __init__(self, score: Callable[[Array], Double]) -> None:
        self._score = score
        self.batches: list[Array] = []
        self.best = -1.0

    def __call__(self, x: Array) -> Double:
        ratios = self._score(x)
        self.batches.append(x.copy())
        self.best = max(self.best, float(ratios.max()))
        return ratios


def _start(count: int = 8, width: int = 4) -> Array:
    found: Array = np.random.default_rng(0).uniform(1, 10, (count, width)).astype(np.float32)
    return found


def _size(x: Array) -> Double:
    found: Double = np.abs(x.astype(np.float64)).reshape(len(x), -1).max(axis=1) / MAX / 2
    return found


CORNERS: dict[str, Callable[[Array], Double]] = {
    "two inputs are equal": lambda x: np.where(x[:, 0] == x[:, 1], 1e3, 0.1),
    "an input beyond 1e6": lambda x: np.where(np.abs(x).max(axis=1) > 1e6, 1e3, np.log1p(np.abs(x).max(axis=1)) / 50),
    "an exact zero": lambda x: np.where((x == 0).any(axis=1), 1e3, 0.1),
    "all ones but one": lambda x: np.where((x == 1).sum(axis=1) == 3, 1e3, 0.1),
    "a negative input": lambda x: np.where((x < 0).any(axis=1), 1e3, 0.1),
    "below epsilon": lambda x: np.where(((np.abs(x) < 1e-9) & (x != 0)).any(axis=1), 1e3, 0.1),
    "a narrow valley": lambda x: 2000 * np.exp(-np.abs(np.log10(np.abs(x[:, 0].astype(np.float64)) + 1e-30) - 4.3)),
}


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_corner_is_found(corner: str, seed: int) -> None:
    score = _Recorder(CORNERS[corner])
    climb(score, _start(), OPTIONS, seed)
    assert score.best >= 1e3


def test_an_error_where_two_large_inputs_are_equal_is_in_no_distribution_but_found() -> None:
    """A corner in two conditions: the search climbs to the one and then to the other."""

    def score(x: Array) -> Double:
        large = np.log1p(np.abs(x.astype(np.float64)).max(axis=1)) / 50
        return np.where((np.abs(x[:, 0]) > 1e6) & (x[:, 0] == x[:, 1]), 1e3, large)

    distributions = [array_of(drawn.x) for drawn in drawn_over([(4,)], 256, 0)]
    assert not any((score(x) >= 1e3).any() for x in distributions)
    recorder = _Recorder(score)
    start = np.concatenate(distributions)
    climb(recorder, start[np.argsort(-score(start))][:PARENTS], OPTIONS, 0)
    assert recorder.best >= 1e3


def test_no_rounds_is_no_search() -> None:
    score = _Recorder(_size)
    climb(score, _start(), SearchOptions(0, 64), 0)
    assert score.batches == []


def test_each_round_is_one_batch_of_the_width() -> None:
    score = _Recorder(_size)
    climb(score, _start(), SearchOptions(5, 13), 0)
    assert [batch.shape for batch in score.batches] == [(13, 4)] * 5


@pytest.mark.parametrize("start", [_start(1), _start(3), _start(100), _start(4, 1)])
def test_any_number_of_starts_will_do(start: Array) -> None:
    score = _Recorder(_size)
    climb(score, start, SearchOptions(6, 16), 0)
    assert len(score.batches) == 6


def test_only_the_first_starts_are_changed() -> None:
    start = np.concatenate([np.full((PARENTS, 1), 2.0), np.full((10, 1), 0.0)]).astype(np.float32)
    score = _Recorder(lambda x: np.zeros(len(x)))
    climb(score, start, SearchOptions(1, 200), 0)
    assert (np.abs(score.batches[0]) > 1).mean() > 0.5


def test_a_seed_is_a_search() -> None:
    def run(seed: int) -> list[Array]:
        score = _Recorder(CORNERS["a narrow valley"])
        climb(score, _start(), SearchOptions(6, 16), seed)
        return score.batches

    for first, second in zip(run(3), run(3), strict=True):
        np.testing.assert_array_equal(first, second)
    assert not all(np.array_equal(first, second) for first, second in zip(run(3), run(4), strict=True))


def test_inputs_stay_finite_float32_and_the_start_is_left_alone() -> None:
    start = np.array([[MAX, -MAX, 1e-45, 0.0]], np.float32)
    before = start.copy()
    score = _Recorder(_size)
    climb(score, start, OPTIONS, 0)
    for batch in score.batches:
        assert batch.dtype == np.float32
        assert np.isfinite(batch).all()
    assert max(float(np.abs(batch).max()) for batch in score.batches) == MAX
    np.testing.assert_array_equal(start, before)


def test_nothing_is_worse_than_an_infinite_ratio() -> None:
    score = _Recorder(lambda x: np.where(np.arange(len(x)) == 3, np.inf, 0.5))
    climb(score, _start(), OPTIONS, 0)
    assert len(score.batches) == 1


def test_images_keep_their_shape() -> None:
    start = np.random.default_rng(0).uniform(0, 1, (2, 1, 5, 4)).astype(np.float32)
    score = _Recorder(_size)
    climb(score, start, SearchOptions(4, 8), 0)
    assert [batch.shape for batch in score.batches] == [(8, 1, 5, 4)] * 4
    assert score.best > _size(start).max()


def test_the_best_so_far_is_never_lost() -> None:
    """A sample that scores high once is a parent in every round after it."""
    wanted = np.float32(-7.25)

    def score(x: Array) -> Double:
        return np.where(x[:, 0] == wanted, 10.0, 0.1)

    recorder = _Recorder(score)
    climb(recorder, np.array([[7.25, 3.0]], np.float32), SearchOptions(30, 48), 0)
    hits = [bool((batch[:, 0] == wanted).any()) for batch in recorder.batches]
    first = hits.index(True)
    assert np.mean(hits[first:]) > 0.6


def _generations(heights: Sequence[float], patience: int | None) -> int:
    """How many generations a search runs whose best scores are these; the last one stays."""
    runs = 0

    def score(x: Array) -> Double:
        nonlocal runs
        runs += 1
        return np.full(len(x), heights[min(runs, len(heights)) - 1])

    climb(score, _start(), SearchOptions(12, 8, patience), 0)
    return runs


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.5], 4),
        ([0.0], 4),
        ([0.9, 0.9, 0.9, 0.91], 4),
        # From 0.1 by this factor: a little below 1 after 12 generations, and a little above it.
        ([0.1 * 1.23**n for n in range(12)], 4),
        ([0.1 * 1.24**n for n in range(12)], 12),
        # A climb that comes to rest ends three generations later, as long as it is below the bound.
        ([0.1, 0.2, 0.4, 0.8], 7),
        ([0.3, 0.6, 1.2], 12),
        ([0.0, 0.0, 0.0, 1e-3], 7),
        ([1e-300, 1e-300, 1e-300, 0.5], 7),
        ([1e-80, 1e-80, 1e-80, 1e83], 12),
    ],
)
def test_a_search_ends_where_its_pace_does_not_lead_to_the_bound(heights: list[float], expected: int) -> None:
    assert _generations(heights, 3) == expected
    assert _generations(heights, None) == 12
