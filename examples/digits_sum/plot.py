"""Draw ``strips.png``: held-out strips with their sums, and the accuracy against the length of the strip."""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from data import split
from evaluate import HERE, TRAINED_LENGTH, predictors, results
from torch import Generator

mpl.use("Agg")
import matplotlib.pyplot as plt

INK, BLUE, GREY = "#1a1a2e", "#2a6fdb", "#8a8fa3"
SHOWN = (3, 5, 10)
LENGTHS = (1, 2, 3, 4, 5, 7, 10, 14, 20)


def draw(output: Path, strips: int = 2000) -> None:
    """Write the picture to ``output``."""
    run = predictors(HERE / "model.pt", HERE / "model.onnx", HERE / "model.torchscript.pt")
    _, held_out = split()
    figure = plt.figure(figsize=(10, 4.6), layout="constrained", facecolor="white")
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1), squeeze=False)[0]
    left.suptitle("Held-out digits, sum read by ONNX Runtime", fontsize=11, color=INK)
    for axes, length in zip(left.subplots(len(SHOWN), 1), SHOWN, strict=True):
        images, sums = held_out.strips(1, length, Generator().manual_seed(100 + length))
        found = float(run["ONNX"](images)[0, 0])
        # Every strip is padded to the longest, so that a digit has one size throughout.
        canvas = np.zeros((8, 8 * max(SHOWN)), np.float32)
        canvas[:, : 8 * length] = images[0, 0].numpy()
        axes.imshow(canvas, cmap="gray_r", interpolation="nearest", vmin=0, vmax=1)
        axes.set_title(f"{length} digits   sum {int(sums)}   read {found:.2f}", fontsize=10, color=INK, loc="left")
        axes.axis("off")
    axes = right.subplots()
    found_by_length = [results(run, held_out, length, strips) for length in LENGTHS]
    styles = {"PyTorch": {"color": GREY, "lw": 5, "alpha": 0.5}, "ONNX": {"color": BLUE, "lw": 1.8, "marker": "o"}}
    for name, style in styles.items():
        exact = [100 * np.mean(np.round(found[name]) == found["true"]) for found in found_by_length]
        axes.plot(LENGTHS, exact, label="ONNX Runtime" if name == "ONNX" else name, **style)
    axes.axvline(TRAINED_LENGTH, color=INK, lw=0.8, ls=":")
    axes.annotate(
        "trained on 3", (TRAINED_LENGTH, 81), xytext=(4, 0), textcoords="offset points", color=INK, fontsize=9
    )
    axes.set(xlabel="digits in the strip", ylabel="exact sums, %", ylim=(80, 100.5), xticks=(1, 3, 5, 10, 15, 20))
    axes.set_title("Longer strips than those trained on", fontsize=11, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8ef", lw=0.8)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(output, dpi=110)


def main() -> None:
    """Draw beside the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "strips.png")
    draw(parser.parse_args().output)


if __name__ == "__main__":
    main()
