"""Compare the exported files with PyTorch on held-out digits: ``python examples/digits_sum/evaluate.py``."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from data import Digits, split
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Generator, Tensor

import nalu_export
from nalu_export import _jit

HERE = Path(__file__).parent
TRAINED_LENGTH = 3
LENGTHS = (1, 3, 5, 10, 20)
COMMAND = "nalu-export examples/digits_sum/model.pt --format onnx --input-size 8 24"

Predict = Callable[[Tensor], NDArray[np.float32]]


def predictors(model: Path, onnx: Path, torchscript: Path) -> dict[str, Predict]:
    """What runs the model: PyTorch, ONNX Runtime, and TorchScript where that file is there too.

    Raises:
        FileNotFoundError: the ONNX file is not there.
    """
    if not onnx.exists():
        raise FileNotFoundError(f"{onnx} is missing; make it with: {COMMAND} -o {onnx}")
    source = nalu_export.load(model)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    found: dict[str, Predict] = {
        "PyTorch": lambda images: source(images).numpy(),
        "ONNX": lambda images: session.run(None, {"input": images.numpy()})[0],
    }
    if torchscript.exists():
        script = _jit.load(torchscript.read_bytes())
        found["TorchScript"] = lambda images: script(images).numpy()
    return found


def results(run: dict[str, Predict], digits: Digits, length: int, strips: int) -> dict[str, NDArray[np.float32]]:
    """For each runtime the sums that it finds, ``(strips,)``; under ``"true"`` the right ones."""
    images, sums = digits.strips(strips, length, Generator().manual_seed(length))
    found: dict[str, NDArray[np.float32]] = {"true": sums.numpy().astype(np.float32)}
    with torch.no_grad():
        for name, predict in run.items():
            found[name] = np.concatenate([predict(part)[:, 0] for part in torch.split(images, 500)])
    return found


def table(run: dict[str, Predict], digits: Digits, strips: int) -> Table:
    """Exact sums and mean absolute error of each runtime, one line for each strip length."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("\ndigits", no_wrap=True)
    for name in run:
        shown.add_column(f"{name}\nexact", justify="right", no_wrap=True)
        shown.add_column("\nerror", justify="right", no_wrap=True)
    shown.add_column("\ndifference", justify="right", no_wrap=True)
    for length in LENGTHS:
        found = results(run, digits, length, strips)
        cells = [f"{length}" + (" (trained)" if length == TRAINED_LENGTH else "")]
        for name in run:
            exact = np.mean(np.round(found[name]) == found["true"])
            cells += [f"{exact:.1%}", f"{np.mean(np.abs(found[name] - found['true'])):.3f}"]
        differences = [np.abs(found[name] - found["PyTorch"]).max() for name in run]
        shown.add_row(*cells, f"{max(differences):.1e}")
    return shown


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=HERE / "model.pt")
    parser.add_argument("--onnx", type=Path, default=HERE / "model.onnx")
    parser.add_argument("--torchscript", type=Path, default=HERE / "model.torchscript.pt")
    parser.add_argument("--strips", type=int, default=2000, help="strips of each length")
    arguments = parser.parse_args()
    try:
        run = predictors(arguments.model, arguments.onnx, arguments.torchscript)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    _, held_out = split()
    console = Console(highlight=False)
    console.print("[bold]The sum of the handwritten digits in a strip[/bold]")
    console.print(
        f"{arguments.strips} strips of each length, of {len(held_out.labels)} digits that training did not see"
    )
    console.print(table(run, held_out, arguments.strips))
    console.print("exact: the rounded output is the sum. error: mean absolute error.", style="dim")
    console.print("difference: largest from PyTorch. ONNX: ONNX Runtime, CPU.", style="dim")


if __name__ == "__main__":
    main()
