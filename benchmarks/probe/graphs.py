"""CUDA graphs of ONNX Runtime: which files can be captured, and whether a replay gives what the plain session does."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from benchmarks.cuda_parity import Subject
from benchmarks.cuda_setup import OUT_OF_TIME, brief
from benchmarks.probe.context import Context
from benchmarks.probe.convolutions import agreement
from benchmarks.probe.held import FILE, Held, share
from benchmarks.probe.models import backbones, layers
from benchmarks.report import Section
from nalu_export import formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import WEIGHTS, Weights
from nalu_export.runtimes.base import RunOptions

BATCHES = (8, 3, 8, 1)


def measure(context: Context) -> Iterator[Section]:
    """One table: every model, folded and live, in each runtime of ONNX files."""
    names = context.running(*context.setup.onnx)
    if not names:
        return
    rows = []
    for subject, weights in product([*layers(quick=context.quick), *backbones(quick=context.quick)], WEIGHTS):
        if context.late:
            context.skip(f"graphs: {subject.name}, {weights} and what comes after it")
            rows.append((subject.name, weights, OUT_OF_TIME, *[""] * (len(names) - 1)))
            break
        context.progress(f"graphs: {subject.name}, {weights}")
        rows.append((subject.name, weights, *_cells(subject, weights, names)))
    yield Section(
        title="CUDA graphs and I/O binding",
        method=(
            f"float32. Batches of {', '.join(map(str, BATCHES))} one after the other in one session, so that a graph "
            "is captured for each shape and replayed later. Largest error over its bound; and against the first "
            "runtime, on the same batches."
        ),
        header=("model", "weights", *names),
        rows=tuple(rows),
    )


def _cells(subject: Subject, weights: Weights, names: list[str]) -> list[str]:
    try:
        graph = subject.graph()
        data = formats.get("onnx").emit(graph, EmitOptions(weights)).to_bytes({})
        draw = np.random.default_rng(0)
        batches = [draw.uniform(0.5, 3.0, (size, *subject.shape)).astype(np.float32) for size in BATCHES]
        held = [Held(graph, x, [FILE]) for x in batches]
    except Exception as error:  # noqa: BLE001  a failing item is a line of the table
        return [brief(error), *[""] * (len(names) - 1)]
    cells, first = [], None
    for name in names:
        try:
            session = runtimes.get(name).load(graph.called(graph.module), data, RunOptions())
            results = [[out.copy() for out in session.run([x])] for x in batches]
        except Exception as error:  # noqa: BLE001
            cells.append(brief(error))
            continue
        text = share(max(each.ratio(outs) for each, outs in zip(held, results, strict=True)))
        joined = [out for outs in results for out in outs]
        cells.append(text if first is None else f"{text}; {agreement([first, joined])}")
        first = joined if first is None else first
    return cells
