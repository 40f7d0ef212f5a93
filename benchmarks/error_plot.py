"""Draws docs/error.svg, the picture of the README: ``python -m benchmarks.error_plot``.

The largest error E of NALU cells by the size of their inputs, exported by default and by this package, both in ONNX
Runtime. Files are unchecked here: what is drawn is what they compute.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np

from benchmarks import cells, subjects
from benchmarks.fidelity import Cell
from benchmarks.witness import witness

mpl.use("svg")
from matplotlib import pyplot as plt

PAGE = Path(__file__).resolve().parents[1] / "docs" / "error.svg"
DECADES = range(-4, 7)
INPUTS, DRAWS, SAMPLES = 16, 4, 4096
DRAWN = {
    subjects.DEFAULT: ("default torch.onnx.export", "#c1440e", "o"),
    subjects.FOLDED: ("nalu_export", "#1c6dd0", "s"),
}


def measure() -> dict[str, dict[str, Cell]]:
    """``{subject: {inputs: cell}}``: inputs of each decade, and those from 0 to 10 of which 30 % are zero."""
    draws = {f"$10^{{{k}}}$": cells.between(10.0**k, 10.0 ** (k + 1)) for k in DECADES}
    draws["some\nzeros"] = cells.RANGES["0..10, 30 % zeros"]
    found = {name: {inputs: Cell() for inputs in draws} for name in DRAWN}
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        parameters = cells.saturated(rng, INPUTS)
        with TemporaryDirectory() as folder:
            runs = subjects.build(parameters, Path(folder), DRAWN)
            for inputs, draw in draws.items():
                x = draw(rng, (SAMPLES, INPUTS))
                expected = witness(parameters, x)
                for name, run in runs.items():
                    found[name][inputs].add(run(x), expected)
    return found


def draw(found: dict[str, dict[str, Cell]], path: Path) -> None:
    """The picture; the same figures give the same bytes."""
    mpl.rcParams.update({"svg.hashsalt": "nalu_export", "font.size": 10, "svg.fonttype": "path"})
    figure, axes = plt.subplots(figsize=(7.2, 3.4))
    labels = list(next(iter(found.values())))
    top = 10.0 ** np.ceil(np.log10(max(cell.max_e for row in found.values() for cell in row.values())) + 1)
    for name, (label, colour, marker) in DRAWN.items():
        row = list(found[name].values())
        lost = [any(cell.nonfinite) for cell in row]
        heights = [top if bad else cell.max_e for cell, bad in zip(row, lost, strict=True)]
        axes.plot(range(len(row) - 1), heights[:-1], color=colour, marker=marker, markersize=4, label=label)
        if lost[-1]:
            axes.plot(len(row) - 1, top, color=colour, marker="X", markersize=9, linestyle="none")
            axes.annotate(
                *("NaN or infinite", (len(row) - 1, top), (-14, -4)),
                textcoords="offset points",
                ha="right",
                color=colour,
            )
        else:
            axes.plot(len(row) - 1, heights[-1], color=colour, marker=marker, markersize=4)
    axes.axhline(5, color="#666666", linewidth=0.8, linestyle="--")
    axes.annotate("5 roundoffs", (0, 5), (0, 3), textcoords="offset points", color="#666666", fontsize=9)
    axes.set_yscale("log")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlabel("inputs from this to ten times as much")
    axes.set_ylabel("largest error, in roundoffs")
    axes.axvline(len(labels) - 1.5, color="#cccccc", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(measure(), PAGE)
