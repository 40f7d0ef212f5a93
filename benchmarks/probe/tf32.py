"""For which shapes a library chooses TF32 where it may, and what that does to the error."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks import cuda_tf32
from benchmarks.cuda_parity import Subject, cnn
from benchmarks.cuda_setup import OUT_OF_TIME, brief
from benchmarks.probe.context import Context
from benchmarks.probe.held import EAGER, FILE, Held, share
from benchmarks.report import Section
from nalu_export import NAC

# Samples, inputs, outputs.
PRODUCTS = {
    False: (
        (1, 64, 64),
        (64, 64, 8),
        (64, 64, 64),
        (64, 60, 60),
        (256, 256, 256),
        (255, 257, 255),
        (64, 1024, 1024),
        (256, 1000, 1000),
        (256, 1001, 999),
    ),
    True: ((4, 8, 8),),
}


def cases(*, quick: bool) -> list[tuple[Subject, int]]:
    """Matrix products by size, and a CNN; each with its number of samples."""
    found = [
        (Subject(f"{samples} × {inputs} → {outputs}", partial(NAC, inputs, outputs), (inputs,)), samples)
        for samples, inputs, outputs in PRODUCTS[quick]
    ]
    if not quick:
        found += [(Subject(f"CNN 8 → {width}", partial(cnn, 8, width, 64, 8), (8, 16, 16)), 16) for width in (32, 64)]
    return found


def measure(context: Context) -> Iterator[Section]:
    """One table: a row for each shape, a column for each runtime."""
    if reason := cuda_tf32.capability():
        context.skip("TF32 by shape", reason)
        return
    setup = context.setup
    names = context.running(setup.onnx[0], setup.eager, setup.script)
    if not names:
        return
    rows = []
    for subject, samples in cases(quick=context.quick):
        if context.late:
            context.skip(f"TF32: {subject.name} and what comes after it")
            rows.append((subject.name, OUT_OF_TIME, *[""] * (len(names) - 1)))
            break
        context.progress(f"TF32: {subject.name}")
        rows.append((subject.name, *_cells(subject, samples, names, setup.eager)))
    yield Section(
        title="TF32 by shape",
        method=(
            "One product of a folded NAC layer, samples × inputs → outputs, and CNNs with a NALU head; inputs 1..10. "
            "Changed: share of the outputs that are other bits with TF32 allowed; where none are, the library computes "
            "this shape without it. Then the largest error over the default bound, off and on, and on over the bound "
            "that is widened for TF32."
        ),
        header=("shape", *names),
        rows=tuple(rows),
    )


def _cells(subject: Subject, samples: int, names: list[str], eager: str) -> list[str]:
    x = np.random.default_rng(0).uniform(1, 10, (samples, *subject.shape)).astype(np.float32)
    profiles = {profile: replace(profile, tf32=True) for profile in (FILE, EAGER)}
    try:
        graph = subject.graph()
        held = Held(graph, x, [*profiles, *profiles.values()])
    except Exception as error:  # noqa: BLE001  a failing item is a line of the table
        return [brief(error), *[""] * (len(names) - 1)]
    cells = []
    for name in names:
        own = EAGER if name == eager else FILE
        try:
            off, on = cuda_tf32.off_and_on(name, graph, x)
            changed = float(np.mean(off != on))
            ratios = [held.ratio([off], own), held.ratio([on], own), held.ratio([on], profiles[own])]
            said = f"{changed:.0%} changed" if changed else "TF32 not used"
            cells.append(f"{said}; off {share(ratios[0])}, on {share(ratios[1])}, widened {share(ratios[2])}")
        except Exception as error:  # noqa: BLE001
            cells.append(brief(error))
    return cells
