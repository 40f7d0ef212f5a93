"""benchmarks.sweep: what becomes of the targets, and that a sweep is measured at all."""

import pytest

from benchmarks.sweep import Ran, section, swept


@pytest.mark.parametrize(
    ("many", "reached"),
    [
        (Ran(1000, 39.0, 300.0, 330.0), (True, True)),
        (Ran(1000, 41.0, 300.0, 330.0), (False, True)),
        (Ran(1000, 39.0, 340.0, 330.0), (True, False)),
        (Ran(1000, 39.0, 300.0, 340.0), (True, False)),
    ],
)
def test_targets(many: Ran, reached: tuple[bool, bool]) -> None:
    found = section([Ran(100, 10.0, 300.0, 300.0), many], peer=1.0)
    assert tuple(target.reached for target in found.targets) == reached
    assert found.rows[0] == ("100", "10.0", "100", "10.0 × as long", "300", "300")


@pytest.mark.slow
def test_a_sweep_is_measured() -> None:
    found = swept(2)
    assert found.files == 2
    assert found.seconds > 0.5
    assert min(found.parent, found.worker) > 100
