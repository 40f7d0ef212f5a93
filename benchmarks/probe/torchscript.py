"""TorchScript from the first run to the fifth: what it fuses once it has seen a shape changes the bits."""

from collections.abc import Iterator
from functools import partial
from itertools import product
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.cuda_parity import Subject, cnn
from benchmarks.cuda_setup import OUT_OF_TIME, brief
from benchmarks.probe.context import Context
from benchmarks.probe.convolutions import agreement
from benchmarks.probe.held import FILE, Arrays, Held, share
from benchmarks.report import Section, figure
from nalu_export import NALU, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import WEIGHTS
from nalu_export.runtimes.base import RunOptions, Session

RUNS = 5
BATCHES = {False: (1, 3, 64, 1024), True: (1, 3)}


def subjects(*, quick: bool) -> list[Subject]:
    """Heads of several widths, and a CNN."""
    found = [
        Subject("NALU [4, 5, 2]", partial(NALU, 4, 5, 2), (4,)),
        Subject("NALU [64, 64, 10]", partial(NALU, 64, 64, 10), (64,)),
        Subject("CNN + head", cnn, (1, 16, 16)),
    ]
    return found[:1] if quick else found


def measure(context: Context) -> Iterator[Section]:
    """One table: a row for each model and batch, all batches in one session."""
    name = context.setup.script
    if not context.running(name):
        return
    rows = []
    for subject, weights in product(subjects(quick=context.quick), WEIGHTS):
        context.progress(f"TorchScript: {subject.name}, {weights}")
        try:
            graph = subject.graph()
            data = formats.get("torchscript").emit(graph, EmitOptions(weights)).to_bytes({})
            session = runtimes.get(name).load(graph.called(graph.module), data, RunOptions())
        except Exception as error:  # noqa: BLE001  a failing item is a line of the table
            rows.append((subject.name, weights, "", brief(error), "", ""))
            continue
        for batch in BATCHES[context.quick]:
            if context.late:
                context.skip(f"TorchScript: {subject.name}, {weights} and what comes after it")
                rows.append((subject.name, weights, str(batch), OUT_OF_TIME, "", ""))
                break
            x = np.random.default_rng(batch).uniform(-3, 3, (batch, *subject.shape)).astype(np.float32)
            held = Held(graph, x, [FILE])
            rows.append((subject.name, weights, str(batch), *_five(session, x, held)))
    yield Section(
        title=f"TorchScript, {RUNS} runs of each shape",
        method=(
            "One session for each file, its batches one after the other. Error over bound of each run, whether it is "
            "the first one's to the bit, and milliseconds with both copies; a run that compiles takes longer."
        ),
        header=("model", "weights", "batch", "error / bound", "against the first run", "ms"),
        rows=tuple(rows),
    )


def _five(session: Session, x: NDArray[np.float32], held: Held) -> tuple[str, str, str]:
    results: list[Arrays] = []
    times = []
    try:
        for _ in range(RUNS):
            start = perf_counter()
            results.append(session.run([x]))
            times.append((perf_counter() - start) * 1e3)
        ratios = [share(held.ratio(outs)) for outs in results]
    except Exception as error:  # noqa: BLE001
        return brief(error), "", ""
    same = [agreement([results[0], outs]) for outs in results[1:]]
    return ", ".join(ratios), "; ".join(same), ", ".join(map(figure, times))
