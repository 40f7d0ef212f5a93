"""benchmarks.timing: who is called when, and what is quoted; no test waits for a clock."""

from functools import partial

from benchmarks.timing import Timing, interleave


def test_every_round_begins_with_another_subject() -> None:
    seen: list[str] = []
    subjects = {name: partial(seen.append, name) for name in "abc"}
    found = interleave(subjects, 4, {"a": 2, "b": 1, "c": 1})
    assert "".join(seen) == "aabc" + "bcaa" + "caab" + "aabc"
    assert {name: len(timing.rounds) for name, timing in found.items()} == {"a": 4, "b": 4, "c": 4}
    assert list(found) == ["a", "b", "c"]


def test_median_and_quartiles() -> None:
    timing = Timing((5.0, 1.0, 100.0, 3.0, 2.0, 4.0, 6.0))
    assert timing.median == 4.0
    assert timing.spread == (2.0, 6.0)
    assert Timing((1.0,)).spread == (1.0, 1.0)
