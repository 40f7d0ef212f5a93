"""Draw ``strips.png``: held-out strips with their sums, and how the error grows with the length of the strip."""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from data import SIDE, Digits, split
from evaluate import HERE, TRAINED_LENGTH, Predict, predictors, results, scores
from matplotlib.axes import Axes
from torch import Generator

import nalu_export

mpl.use("Agg")
import matplotlib.pyplot as plt

INK, BLUE, GREY, RED, LINE = "#1a1a2e", "#2a6fdb", "#9aa0b4", "#c8372d", "#e6e8ef"
ROWS = ((3, 3, 3, 3), (5, 10), (20,))
LENGTHS = (1, 2, 3, 5, 7, 10, 15, 20)
GAP = 10  # pixels of the digits between two strips
WIDTH = 20 * SIDE


def draw_strips(axes: Axes, lengths: tuple[int, ...], digits: Digits, read: Predict, generator: Generator) -> None:
    """One row of strips, each below its true sum and what was read; the first of a seed, not the best ones."""
    left = 0
    for length in lengths:
        images, sums = digits.strips(1, length, generator)
        found = float(read(images)[0, 0])
        right = left + SIDE * length
        axes.imshow(images[0, 0], cmap="gray_r", vmin=0, vmax=1, extent=(left, right, SIDE, 0))
        axes.add_patch(mpl.patches.Rectangle((left, 0), right - left, SIDE, fill=False, ec=GREY, lw=0.6))
        colour = BLUE if round(found) == int(sums) else RED
        axes.text(left, -1.4, f"sum {int(sums)}", color=INK, fontsize=10)
        axes.text(left + 12.5, -1.4, f"read {found:.2f}", color=colour, fontsize=10, weight="bold")
        left = right + GAP
    axes.set(xlim=(-1, WIDTH + 1), ylim=(SIDE + 0.5, -4.5), aspect="equal")
    axes.axis("off")


def draw_curves(axes: tuple[Axes, Axes], run: dict[str, Predict], digits: Digits, strips: int) -> None:
    """Exact sums and mean absolute error against the length, PyTorch below ONNX Runtime."""
    found = [results(run, digits, length, strips) for length in LENGTHS]
    styles = (("PyTorch", "PyTorch", GREY, 6.0, ""), ("ONNX", "ONNX Runtime", BLUE, 1.6, "o"))
    for name, label, colour, width, marker in styles:
        exact, error = zip(*(scores(one, name) for one in found), strict=True)
        axes[0].plot(LENGTHS, 100 * np.array(exact), c=colour, lw=width, marker=marker, ms=5, label=label)
        axes[1].plot(LENGTHS, error, c=colour, lw=width, marker=marker, ms=5, label=label)
    axes[0].set_title("Exact sums, %", fontsize=11, color=INK, loc="left")
    axes[1].set_title("Mean absolute error", fontsize=11, color=INK, loc="left")
    axes[1].set_ylim(bottom=0)
    for one in axes:
        one.axvline(TRAINED_LENGTH, color=INK, lw=0.8, ls=":")
        one.set(xlabel="digits in the strip", xticks=(1, 3, 5, 10, 15, 20))
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", color=LINE, lw=0.8)
    axes[0].annotate("trained on 3", (TRAINED_LENGTH, 0.04), (5, 0), axes[0].get_xaxis_transform(), "offset points")
    axes[0].legend(frameon=False, loc="upper right")


def draw(output: Path, strips: int = 2000) -> None:
    """Write the picture to ``output``."""
    run = predictors(HERE / "model.pt", HERE / "model.onnx", HERE / "none")
    _, held_out = split()
    figure = plt.figure(figsize=(10, 6.4), layout="constrained", facecolor="white")
    above, below = figure.subfigures(2, 1, height_ratios=(1.0, 1.05), squeeze=False)[:, 0]
    above.suptitle("Digits never seen in training, and the sum that ONNX Runtime reads", fontsize=12, color=INK)
    generator = Generator().manual_seed(1)
    for axes, lengths in zip(above.subplots(len(ROWS), 1), ROWS, strict=True):
        draw_strips(axes, lengths, held_out, run["ONNX"], generator)
    draw_curves(tuple(below.subplots(1, 2)), run, held_out, strips)
    figure.savefig(output, dpi=110)


def main() -> int:
    """Draw beside the model; the exit code."""
    parser = argparse.ArgumentParser(description="Draw strips.png from held-out digits; needs model.onnx.")
    parser.add_argument("--output", type=Path, default=HERE / "strips.png")
    try:
        draw(parser.parse_args().output)
    except nalu_export.NaluExportError as problem:
        print(problem, file=sys.stderr)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
