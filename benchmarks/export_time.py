"""How long an export takes: from a shell, in a process that has everything imported, and of a CNN."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

import nalu_export
from benchmarks.peer_export import HEAD
from benchmarks.report import Section, Target, figure
from benchmarks.silence import silence
from benchmarks.timing import Timing, interleave
from benchmarks.usual_nalu import UsualNALU, default_export
from nalu_export import NALU
from tests.handwritten.images import ResNet

ROOT = Path(__file__).resolve().parents[1]
COLD_LIMIT, FLOOR_LIMIT = 0.5, 1.25
WARM_LIMIT, CHECKED_LIMIT = 1 / 50, 1 / 8
IMAGE_LIMIT = 2.5
SIDE = 32

FLOOR = 'python -c "import torch"'
PEER = "default torch.onnx.export"
CHECKED = "nalu_export, checked"
UNCHECKED = "nalu_export, --no-check"


def command() -> list[str]:
    """``nalu-export`` as it is installed beside this interpreter."""
    script = Path(sys.executable).with_name("nalu-export")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "nalu_export"]


def _process(arguments: list[str]) -> Callable[[], object]:
    def run() -> None:
        result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {result.returncode}:\n{result.stderr[-2000:]}")

    return run


def cold(rounds: int) -> dict[str, Timing]:
    """Whole processes, from start to exit."""
    with TemporaryDirectory() as folder:
        model = Path(folder, "model.pt")
        torch.manual_seed(0)
        nalu_export.save(NALU(*HEAD), model)
        ours = [*command(), str(model), "--format", "onnx"]
        processes = {
            PEER: _process([sys.executable, "-m", "benchmarks.peer_export", str(Path(folder, "peer.onnx"))]),
            CHECKED: _process(ours),
            UNCHECKED: _process([*ours, "--no-check"]),
            FLOOR: _process([sys.executable, "-c", "import torch"]),
        }
        interleave(processes, 1)  # fills the page cache and writes the byte code
        return interleave(processes, rounds)


def warm(rounds: int) -> dict[str, Timing]:
    """The same head in one process."""
    torch.manual_seed(0)
    usual, ours = UsualNALU(*HEAD), NALU(*HEAD)
    with TemporaryDirectory() as folder, silence():
        target, peer = Path(folder, "model.onnx"), Path(folder, "peer.onnx")
        exports: dict[str, Callable[[], object]] = {
            PEER: lambda: default_export(usual, HEAD[0], peer),
            CHECKED: lambda: nalu_export.export(ours, target),
            UNCHECKED: lambda: nalu_export.export(ours, target, check=False),
        }
        interleave(exports, 2)
        return interleave(exports, rounds)


def images(rounds: int) -> dict[str, Timing]:
    """A CNN in the same process."""
    torch.manual_seed(0)
    model = ResNet().eval()
    with TemporaryDirectory() as folder, silence():
        target, peer = Path(folder, "model.onnx"), Path(folder, "peer.onnx")
        size = (SIDE, SIDE)
        exports: dict[str, Callable[[], object]] = {
            PEER: lambda: _export_of_images(model, peer),
            CHECKED: lambda: nalu_export.export(model, target, input_size=size),
            UNCHECKED: lambda: nalu_export.export(model, target, input_size=size, check=False),
        }
        interleave(exports, 1)
        return interleave(exports, rounds)


def _export_of_images(model: nn.Module, path: Path) -> None:
    """The peer, with the batch and the image size free as in our file."""
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    example = torch.rand(2, 3, SIDE, SIDE)
    torch.onnx.export(model, (example,), path, dynamo=True, dynamic_shapes=(free,), verbose=False)


def benchmark_cold(*, quick: bool) -> Section:
    """Cold start."""
    rounds = 1 if quick else 9
    found = cold(rounds)
    return Section(
        title=f"Export time, cold: a {list(HEAD)} NALU, whole process",
        method=(
            f"Wall time from start to exit, {rounds} alternating rounds after one that does not count. The peer's "
            "process builds the usual NALU and calls the default exporter, without any check; ours is "
            "`nalu-export model.pt --format onnx`, which reads a file, checks in ONNX Runtime what it is about to "
            "write and prints the report."
        ),
        header=("process", "median s", "quartiles s", "of the peer"),
        rows=_rows(found, scale=1.0),
        targets=(
            _target(found, CHECKED, COLD_LIMIT, f"{COLD_LIMIT:g}"),
            _target(found, CHECKED, FLOOR_LIMIT, f"{FLOOR_LIMIT:g}", FLOOR),
        ),
    )


def benchmark_warm(*, quick: bool) -> Section:
    """Warm process."""
    rounds = 2 if quick else 15
    found = warm(rounds)
    return Section(
        title=f"Export time, warm: a {list(HEAD)} NALU, everything imported",
        method=(
            f"One call that writes the file, {rounds} alternating rounds after two that do not count. Most of an "
            "unchecked export is the capture: the model and its graph run several times to prove that they are one, "
            "and a function of each sample alone."
        ),
        header=("call", "median ms", "quartiles ms", "of the peer"),
        rows=_rows(found, scale=1e3),
        targets=(
            _target(found, CHECKED, CHECKED_LIMIT, "1/8"),
            _target(found, UNCHECKED, WARM_LIMIT, "1/50"),
        ),
    )


def benchmark_images(*, quick: bool) -> Section:
    """A CNN, warm."""
    rounds = 1 if quick else 5
    found = images(rounds)
    return Section(
        title=f"Export time, warm: a small ResNet for {SIDE}×{SIDE} with a NALU",
        method=(
            f"As above, {rounds} alternating rounds after one that does not count: nine convolutions of 8 and 16 "
            "channels in three residual blocks with BatchNorm, the mean over the image, a [16, 4, 1] NALU "
            "(`tests/handwritten/images.py`); batch, height and width are free in both files."
        ),
        header=("call", "median ms", "quartiles ms", "of the peer"),
        rows=_rows(found, scale=1e3),
        targets=(_target(found, CHECKED, IMAGE_LIMIT, f"{IMAGE_LIMIT:g}"),),
    )


def _rows(found: dict[str, Timing], scale: float) -> tuple[tuple[str, ...], ...]:
    peer = found[PEER].median
    return tuple(
        (
            name,
            figure(timing.median * scale),
            "–".join(figure(value * scale) for value in timing.spread),
            _share(timing.median / peer),
        )
        for name, timing in found.items()
    )


def _share(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio > 0.1 else f"1/{1 / ratio:.0f}"


def _target(found: dict[str, Timing], name: str, limit: float, text: str, other: str = PEER) -> Target:
    ratio = found[name].median / found[other].median
    whose = "the peer" if other == PEER else f"`{other}`"
    return Target(f"{name}: at most {text} of {whose} ({_share(ratio)})", ratio <= limit)
