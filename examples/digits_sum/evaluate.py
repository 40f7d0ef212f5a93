"""Compare the exported files with PyTorch on held-out digits: ``python examples/digits_sum/evaluate.py``."""

import argparse
import hashlib
import shlex
import sys
import warnings
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

HERE = Path(__file__).resolve().parent
TRAINED_LENGTH = 3
LENGTHS = (1, 3, 5, 10, 20)

Predict = Callable[[Tensor], NDArray[np.float32]]


def predictors(model: Path, onnx: Path, torchscript: Path) -> dict[str, Predict]:
    """What runs the model: PyTorch, ONNX Runtime, and TorchScript where that file is there too.

    Raises:
        InputError: a file is missing, damaged or exported from another model; the text has the command that makes it.
    """
    source = nalu_export.load(model)
    if not onnx.exists():
        raise nalu_export.InputError(f"{shown(onnx)} is missing; make it with: {command(model, onnx, 'onnx')}")
    found: dict[str, Predict] = {
        "PyTorch": lambda images: source(images).numpy(),
        "ONNX": _onnx(model, onnx),
    }
    if torchscript.exists():
        found["TorchScript"] = _torchscript(model, torchscript)
    return found


def _onnx(model: Path, path: Path) -> Predict:
    """The ONNX file in ONNX Runtime on the CPU: nothing of this package, nothing of PyTorch."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong comes as an exception
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no other base
        raise _unusable(model, path, "onnx") from error
    _refuse_stale(model, path, "onnx", session.get_modelmeta().custom_metadata_map.get("nalu_export.source_sha256"))
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images.numpy()})[0]


def _torchscript(model: Path, path: Path) -> Predict:
    """The TorchScript file in PyTorch."""
    wanted = {"nalu_export.source_sha256": ""}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`?torch\.jit", DeprecationWarning)  # every call says it
            script = torch.jit.load(str(path), map_location="cpu", _extra_files=wanted)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise _unusable(model, path, "torchscript") from error
    digest: str | bytes = wanted["nalu_export.source_sha256"]
    _refuse_stale(model, path, "torchscript", digest.decode() if isinstance(digest, bytes) else digest)
    return lambda images: script(images).numpy()


def _unusable(model: Path, path: Path, kind: str) -> nalu_export.InputError:
    """A file that its runtime does not read."""
    return nalu_export.InputError(f"{shown(path)} cannot be read; make it again with: {command(model, path, kind)}")


def _refuse_stale(model: Path, path: Path, kind: str, digest: str | None) -> None:
    """A file that was exported before the model was trained again would be compared with another model."""
    if digest and digest != hashlib.sha256(model.read_bytes()).hexdigest():
        remedy = f"make it again with: {command(model, path, kind)}"
        raise nalu_export.InputError(f"{shown(path)} was exported from another {model.name}; {remedy}")


def command(model: Path, target: Path, kind: str) -> str:
    """What makes ``target``, to be pasted where the user stands."""
    words = ["nalu-export", shown(model), "--format", kind, "--input-size", "8", "24", "-o", shown(target)]
    return shlex.join(words)


def shown(path: Path) -> str:
    """Relative to the working folder where the path is in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def results(run: dict[str, Predict], digits: Digits, length: int, strips: int) -> dict[str, NDArray[np.float32]]:
    """For each runtime the sums that it finds, ``(strips,)``; under ``"true"`` the right ones."""
    images, sums = digits.strips(strips, length, Generator().manual_seed(length))
    found: dict[str, NDArray[np.float32]] = {"true": sums.numpy().astype(np.float32)}
    with torch.no_grad():
        for name, predict in run.items():
            found[name] = np.concatenate([predict(part)[:, 0] for part in torch.split(images, 500)])
    return found


def scores(found: dict[str, NDArray[np.float32]], name: str) -> tuple[float, float]:
    """Share of exact sums and mean absolute error of one runtime."""
    error = np.abs(found[name] - found["true"])
    return float(np.mean(np.round(found[name]) == found["true"])), float(np.mean(error))


def table(run: dict[str, Predict], digits: Digits, strips: int) -> Table:
    """Exact sums and mean absolute error of each runtime, one line for each strip length."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    made.add_column("\ndigits", no_wrap=True)
    for name in run:
        made.add_column(f"{name}\nexact", justify="right", no_wrap=True)
        made.add_column("\nerror", justify="right", no_wrap=True)
    made.add_column("\ndifference", justify="right", no_wrap=True)
    for length in LENGTHS:
        found = results(run, digits, length, strips)
        cells = [f"{length}" + (" (trained)" if length == TRAINED_LENGTH else "")]
        for name in run:
            exact, error = scores(found, name)
            cells += [f"{exact:.1%}", f"{error:.3f}"]
        difference = max(float(np.abs(found[name] - found["PyTorch"]).max()) for name in run)
        made.add_row(*cells, f"{difference:.1e}")
    return made


def _arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compare the exported files with PyTorch on held-out digits.")
    parser.add_argument("--model", type=Path, default=HERE / "model.pt")
    parser.add_argument("--onnx", type=Path, default=HERE / "model.onnx")
    parser.add_argument("--torchscript", type=Path, default=HERE / "model.torchscript.pt")
    parser.add_argument("--strips", type=int, default=2000, help="strips of each length")
    arguments = parser.parse_args()
    if arguments.strips < 1:
        parser.error(f"--strips is {arguments.strips}; it must be at least 1")
    return arguments


def main() -> int:
    """Print the table; the exit code."""
    arguments = _arguments()
    try:
        run = predictors(arguments.model, arguments.onnx, arguments.torchscript)
    except nalu_export.NaluExportError as problem:
        print(problem, file=sys.stderr)
        return problem.exit_code
    _, held_out = split()
    console = Console(highlight=False)
    console.print("[bold]The sum of the handwritten digits in a strip[/bold]")
    console.print(f"{arguments.strips} strips of each length, of {len(held_out.labels)} digits never seen in training")
    console.print(table(run, held_out, arguments.strips))
    console.print("exact: the rounded output is the sum. error: mean absolute error.", style="dim")
    console.print("difference: largest from PyTorch. ONNX: ONNX Runtime, CPU.", style="dim")
    return 0


if __name__ == "__main__":
    sys.exit(main())
