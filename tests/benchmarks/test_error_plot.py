"""benchmarks.error_plot: the picture of the README."""

from pathlib import Path

from benchmarks.error_plot import DRAWN, draw
from benchmarks.fidelity import Cell


def test_the_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    found = {name: {"1": Cell(2.0, [0], 9), "10": Cell(3.0, [0], 9), "zeros": Cell(4.0, [0], 9)} for name in DRAWN}
    pictures = []
    for lost in (0, 0, 3):
        next(iter(found.values()))["zeros"] = Cell(4.0, [lost], 9)
        draw(found, tmp_path / "error.svg")
        pictures.append((tmp_path / "error.svg").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]
    assert b"<script" not in pictures[0]
