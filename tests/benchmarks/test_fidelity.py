"""benchmarks.fidelity, epsilon and zero_inputs: the facts behind this project, without a clock."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import cells, epsilon, fidelity, subjects, zero_inputs
from benchmarks.witness import witness

ZEROS = "0..10, 30 % zeros"


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, fidelity.Cell]]:
    return fidelity.measure(sizes=(16,), draws=1, samples=512)


@pytest.mark.slow
def test_default_export_is_not_finite_at_zeros(table: dict[str, dict[str, fidelity.Cell]]) -> None:
    (count,) = table[subjects.DEFAULT][ZEROS].nonfinite
    assert count > 0.5 * 512 * cells.OUTPUTS
    assert f"NaN/inf: {count} of 4096" == str(table[subjects.DEFAULT][ZEROS])


def test_usual_form_is_finite_but_far_off(table: dict[str, dict[str, fidelity.Cell]]) -> None:
    for name in (subjects.USUAL, subjects.UNOPTIMISED):
        assert table[name][ZEROS].nonfinite == [0]
        assert table[name][ZEROS].max_e > 1e3
        assert table[name]["0.1..1"].within(fidelity.LIMIT32)


@pytest.mark.parametrize("name", subjects.FLOAT32)
def test_ours_in_float32(table: dict[str, dict[str, fidelity.Cell]], name: str) -> None:
    for distribution, cell in table[name].items():
        assert cell.within(fidelity.LIMIT32), (distribution, cell)


def test_ours_in_float64(table: dict[str, dict[str, fidelity.Cell]]) -> None:
    for distribution, cell in table[subjects.DOUBLE].items():
        assert cell.within(fidelity.LIMIT64), (distribution, cell)


@pytest.mark.slow
def test_epsilon_is_lost_by_the_default_export_and_by_nothing_else() -> None:
    found = epsilon.survival(1e-10)
    assert {name: one.kept for name, one in found.items()} == {
        subjects.DEFAULT: False,
        subjects.UNOPTIMISED: True,
        subjects.FOLDED: True,
        subjects.LIVE: True,
    }
    assert found[subjects.FOLDED].cell.within(fidelity.LIMIT32)
    assert str(found[subjects.DEFAULT]).startswith("LOST; NaN/inf: ")


def test_larger_epsilon_survives_the_default_export(tmp_path: Path) -> None:
    parameters = cells.saturated(np.random.default_rng(0), 4, eps=1e-7)
    subjects.build(parameters, tmp_path, [subjects.DEFAULT])
    (path,) = tmp_path.glob("*.onnx")
    assert epsilon.holds(path, 1e-7)
    assert not epsilon.holds(path, 1e-10)


def test_two_zero_inputs_break_an_untrained_layer() -> None:
    found = zero_inputs.zero_columns(cell_seed=0, columns=2)
    peer, ours = found[subjects.DEFAULT], found[subjects.FOLDED]
    assert peer.nan > 0.2
    assert peer.nan + peer.infinite > 0.5
    assert peer.off > 0.8
    assert (ours.infinite, ours.nan, ours.off) == (0.0, 0.0, 0.0)


def test_nothing_reaches_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parameters = cells.saturated(np.random.default_rng(0), 2)
    runs = subjects.build(parameters, tmp_path, [subjects.USUAL, subjects.DEFAULT, subjects.SCRIPT])
    x = cells.RANGES["1..10"](np.random.default_rng(0), (4, 2))
    for run in runs.values():
        assert not witness(parameters, x).off(run(x), 0.01).any()
    assert capfd.readouterr() == ("", "")
