"""How long one run takes: ONNX Runtime on the CPU with one thread, through Python."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import nalu_export
from benchmarks.report import Section, figure
from benchmarks.running import Array, Run, eager, onnxruntime_cpu
from benchmarks.silence import silence
from benchmarks.timing import Timing, calls_within, interleave
from benchmarks.usual_nalu import UsualNALU, default_export
from nalu_export import NALU

HEADS = ((2, 1), (16, 32, 1), (64, 64, 10), (256, 256, 256))
BATCHES = (1, 64, 1024)
TURN = 0.01
ROUNDS = {False: 60, True: 6}

PEER = "default export"
UNOPTIMISED = "optimize=False"
FOLDED = "ours, folded"
LIVE = "ours, live"
DOUBLE = "ours, float64"
EAGER = "eager PyTorch"


def sessions(head: tuple[int, ...], folder: Path) -> dict[str, Run]:
    """Every way of running a head, with the same weights."""
    torch.manual_seed(0)
    usual, ours = UsualNALU(*head).eval(), NALU(*head).eval()
    ours.load_state_dict(usual.state_dict())
    paths = {name: folder / f"{number}.onnx" for number, name in enumerate((PEER, UNOPTIMISED, FOLDED, LIVE, DOUBLE))}
    with silence():
        default_export(usual, head[0], paths[PEER])
        default_export(usual, head[0], paths[UNOPTIMISED], optimize=False)
    nalu_export.export(ours, paths[FOLDED], check=False)
    nalu_export.export(ours, paths[LIVE], check=False, weights="live")
    nalu_export.export(ours, paths[DOUBLE], check=False, compute="float64")
    return {name: onnxruntime_cpu(path, threads=1) for name, path in paths.items()} | {EAGER: eager(usual)}


def time_batch(runs: dict[str, Run], x: Array, rounds: int) -> dict[str, Timing]:
    """Alternating rounds over the same input, each turn about 10 ms long."""
    expected = runs[EAGER](x)
    calls: dict[str, Callable[[], object]] = {}
    for name, run in runs.items():
        # A fast wrong answer is no answer. Loose, because between two layers some values are near 0 by cancellation,
        # where float32 determines the next layer's logarithm no better.
        np.testing.assert_allclose(run(x), expected, rtol=0.05, atol=0.05, err_msg=name)
        calls[name] = partial(run, x)
    return interleave(calls, rounds, {name: calls_within(call, TURN) for name, call in calls.items()})


def measure(*, quick: bool) -> dict[tuple[str, int], dict[str, Timing]]:
    """``{(head, batch): {name: timing}}``."""
    found: dict[tuple[str, int], dict[str, Timing]] = {}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for head in HEADS[:2] if quick else HEADS:
            with TemporaryDirectory() as folder:
                runs = sessions(head, Path(folder))
                rng = np.random.default_rng(0)
                for batch in BATCHES:
                    x = rng.uniform(0.5, 2.0, (batch, head[0])).astype(np.float32)
                    found[str(list(head)), batch] = time_batch(runs, x, ROUNDS[quick])
    finally:
        torch.set_num_threads(before)
    return found


def benchmark(*, quick: bool) -> Section:
    """Latency by head and batch."""
    found = measure(quick=quick)
    others = (UNOPTIMISED, FOLDED, LIVE, DOUBLE, EAGER)
    return Section(
        title="Latency: one run in ONNX Runtime, µs and ratio to the default export",
        method=(
            "`InferenceSession.run` from Python on the CPU with one intra-op thread; weights as initialised, the same "
            f"on all sides; inputs 0.5..2. Medians of {ROUNDS[quick]} alternating rounds, about 10 ms for each side. "
            "Eager PyTorch is the usual NALU with one thread."
        ),
        header=("head", "batch", PEER, *others),
        rows=tuple(
            (
                head,
                str(batch),
                _microseconds(timings[PEER]),
                *(
                    f"{_microseconds(timings[name])} ({timings[name].median / timings[PEER].median:.2f}×)"
                    for name in others
                ),
            )
            for (head, batch), timings in found.items()
        ),
    )


def _microseconds(timing: Timing) -> str:
    value = timing.median * 1e6
    return figure(value) if value < 9999.5 else f"{value:,.0f}"
