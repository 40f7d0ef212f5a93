"""How long a sweep over many heads takes, and how much memory: against the default exporter in a loop."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import nalu_export
from benchmarks.report import Section, Target, figure
from benchmarks.silence import silence
from benchmarks.timing import turn
from benchmarks.usual_nalu import UsualNALU, default_export
from nalu_export import NALU

ROOT = Path(__file__).resolve().parents[1]
SHAPES = ((2, 1), (2, 3, 1), (4, 5, 2), (8, 1), (8, 8, 1), (16, 1), (16, 32, 1), (8, 16, 8, 1), (32, 16, 1))
WORKERS = 2
SPEED = 25.0
# Of the memory of ten times as many files.
GROWTH = 1.1
LOOK = 0.1
SWEEP = "import sys, nalu_export; assert nalu_export.sweep(sys.argv[1], sys.argv[2], jobs=int(sys.argv[3])).passed"


@dataclass(frozen=True)
class Ran:
    """A sweep in a process of its own.

    Attributes:
        files: number of checkpoints.
        seconds: from its start to its end.
        parent: its largest resident memory, in MiB.
        worker: the largest resident memory of a worker, in MiB.
    """

    files: int
    seconds: float
    parent: float
    worker: float


def swept(files: int) -> Ran:
    """Sweep over that many heads, each with weights of its own."""
    with TemporaryDirectory() as folder:
        zoo = Path(folder, "zoo")
        zoo.mkdir()
        for number in range(files):
            torch.manual_seed(number)
            nalu_export.save(NALU(*SHAPES[number % len(SHAPES)]), zoo / f"{number:04}.pt")
        command = [sys.executable, "-c", SWEEP, str(zoo), str(Path(folder, "out")), str(WORKERS)]
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT)
        parent = worker = 0.0
        while process.poll() is None:
            parent = max(parent, _peak(process.pid))
            worker = max([worker, *map(_peak, _children(process.pid))])
            time.sleep(LOOK)
        seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"the sweep of {files} files ended with {process.returncode}")
    return Ran(files, seconds, parent, worker)


def looped(rounds: int) -> float:
    """Return the mean seconds of a default export of these shapes, in a process that has done it before."""
    models = {shape: UsualNALU(*shape) for shape in SHAPES}
    with TemporaryDirectory() as folder, silence():
        path = Path(folder, "model.onnx")

        def export_all() -> None:
            for shape, model in models.items():
                default_export(model, shape[0], path)

        default_export(models[SHAPES[0]], SHAPES[0][0], path)
        return turn(export_all, rounds) / len(SHAPES)


def benchmark(*, quick: bool) -> Section:
    """A sweep."""
    peer = looped(1 if quick else 3)
    counts = (20, 60) if quick else (100, 1000)
    return section([swept(count) for count in counts], peer)


def section(ran: Sequence[Ran], peer: float) -> Section:
    """Return the table.

    Args:
        ran: sweeps, with the most files last.
        peer: seconds of a default export.
    """
    few, many = ran[0], ran[-1]
    speed = peer * many.files / many.seconds
    growth = max(many.parent / few.parent, many.worker / few.worker)
    return Section(
        title=f"A sweep over heads of {len(SHAPES)} shapes, {WORKERS} workers",
        method=(
            "Whole process, from start to exit, with the import of torch in it and in each worker: every export is "
            "checked and recorded. The peer is the default exporter in a loop in one process, everything imported, "
            f"without any check, measured on one head of each shape: {figure(peer * 1e3)} ms for each on average. "
            "Memory is the largest that was resident."
        ),
        header=("files", "seconds", "ms for each file", "the peer takes", "command MiB", "worker MiB"),
        rows=tuple(
            (
                str(each.files),
                figure(each.seconds),
                figure(each.seconds / each.files * 1e3),
                f"{peer * each.files / each.seconds:.1f} × as long",
                figure(each.parent),
                figure(each.worker),
            )
            for each in ran
        ),
        targets=(
            Target(f"{many.files} files: {SPEED:g} times as fast as the peer ({speed:.1f})", speed >= SPEED),
            Target(
                f"memory: with {many.files} files at most {GROWTH:g} times that with {few.files} ({growth:.2f})",
                growth <= GROWTH,
            ),
        ),
    )


def _peak(pid: int) -> float:
    """Return the largest resident memory of a process so far, in MiB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _children(pid: int) -> list[int]:
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(name))
    return found
