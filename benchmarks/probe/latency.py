"""Latency of one head in every way, folded and live."""

from collections.abc import Iterator
from functools import partial

from benchmarks import cuda_latency
from benchmarks.cuda_latency import NOT_COMPILED, Plan
from benchmarks.cuda_parity import Subject
from benchmarks.cuda_setup import OUT_OF_TIME
from benchmarks.probe.context import Context
from benchmarks.report import Section
from nalu_export import NALU

BATCHES = {False: (1, 1024), True: (1,)}
# Compiling one more batch may take this long.
TO_COMPILE = 25.0


def measure(context: Context) -> Iterator[Section]:
    """The table of benchmarks/cuda.py, for one head: ``torch.compile`` takes long."""
    context.running(context.setup.onnx[0], context.setup.eager)  # what is missing is a cell of the table
    head = Subject("NALU [64, 64, 10]", partial(NALU, 64, 64, 10), (64,))
    compile_until = None if context.quick else context.until - TO_COMPILE
    plan = Plan([head], BATCHES[context.quick], compile_until, context.until)
    lines = cuda_latency.measure(context.setup, quick=context.quick, plan=plan)
    for line in lines:
        for why in (OUT_OF_TIME, NOT_COMPILED):
            if ways := [name for name, side in line.sides.items() if side == why]:
                what = f"{line.weights}, batch {line.batch}, inputs on the {line.inputs}"
                context.skip(f"latency: {line.model}, {what}: {', '.join(ways)}", why)
    yield cuda_latency.section(lines, quick=context.quick)
