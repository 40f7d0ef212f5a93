"""benchmarks.bound: random heads stay within their bounds, and one that does not is counted."""

import numpy as np
import pytest

from benchmarks import bound
from nalu_export.parity.inputs import Draw
from nalu_export.runtimes.base import Arrays, Session


def test_the_same_seed_gives_the_same_head() -> None:
    first, second = bound.random_head(3), bound.random_head(3)
    assert (first.inputs, first.weights, first.compute) == (second.inputs, second.weights, second.compute)
    for one, other in zip(
        first.graph.module.state_dict().values(), second.graph.module.state_dict().values(), strict=True
    ):
        assert bool((one == other).all())


def test_a_few_heads_hold_and_all_are_counted() -> None:
    found = bound.measure(3)
    assert "torch, float32" in found
    assert found["torch, float32"].heads == 3
    for name, tally in found.items():
        assert (tally.exceeded, tally.nonfinite) == (0, 0), name
        ratios = np.concatenate(tally.ratios)
        assert 0.0 < ratios.max() <= 1.0
        assert tally.row(name)[0] == name


def test_an_error_beyond_the_bound_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bound._run

    def wrong(session: Session, drawn: Draw) -> Arrays:
        return [out.astype(np.float32) * np.float32(1.001) for out in right(session, drawn)]

    monkeypatch.setattr(bound, "_run", wrong)
    found = bound.measure(1)
    assert all(tally.exceeded == 1 for tally in found.values())
