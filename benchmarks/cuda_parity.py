"""Every kind of layer, folded and live, in float32 and float64, in every CUDA runtime, each held to its bound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import nn

from benchmarks import cells, subjects
from benchmarks.cuda_setup import OUT_OF_TIME, Setup, brief
from benchmarks.graphs import graph_of
from benchmarks.report import Section, Target, figure
from nalu_export import NAC, NALU, BackboneHead, NALUCell, build_head, formats
from nalu_export.api.verify import verify
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.inputs.sizes import sweep
from nalu_export.nn.nac import NACCell
from nalu_export.parity import CheckOptions, CheckRequest, Report, Row
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.runtimes import get as get_runtime

EPSILONS = (1e-30, 1e-7, 1e-5, 1e-2)
STACKS = ((2, 1), (16, 32, 1), (64, 64, 10))
LIMIT32, LIMIT64 = 5.0, 1.0
# The last rounding of the reference itself, which is float64 too.
SLACK = 1e-6
# The distributions of docs/benchmarks.md, "Fidelity"; E is a claim about those, the bound one about all of them.
UNIFORM = ("0.1..1", "1..10", "1e3..1e4", "-10..10", "zeros")
SAMPLES, SEARCH = {False: 512, True: 32}, {False: 12, True: 1}
# Seconds after the start of the run at which each part has to be over.
ONNX_UNTIL, SCRIPT_UNTIL = 190.0, 270.0


@dataclass(frozen=True)
class Subject:
    """A model to export.

    Attributes:
        name: for the table.
        make: builds it, from torch's global generator.
        shape: of one sample.
        saturated: its number of inputs, where it is a cell that has learnt its task.
    """

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    saturated: int = 0

    def model(self) -> nn.Module:
        """The model, seeded."""
        torch.manual_seed(0)
        return self.make().eval()

    def graph(self) -> ModelGraph:
        """The same, captured."""
        return graph_of(self.model(), (self.shape[1], self.shape[2]) if len(self.shape) == 3 else None)


Key = tuple[str, Weights, Compute, str]


@dataclass(frozen=True)
class Outcome:
    """What became of one file in one runtime: its rows, or why there are none."""

    rows: tuple[Row, ...] = ()
    passed: bool = False
    reason: str = ""

    @property
    def worst(self) -> Row:
        """The row with the largest error over its bound, one that failed first.

        Values inside count where they fail: else each weight is near its bound, because it is rounded once.
        """
        return max(self.rows, key=lambda row: (row.failed, row.distribution != INTERMEDIATE, row.max_ratio))

    def max_e(self, distributions: Sequence[str] = ()) -> float:
        """Largest E, of some distributions or all."""
        return max(
            (row.max_e for row in self.rows if not distributions or row.distribution in distributions), default=np.inf
        )

    def __str__(self) -> str:
        if not self.rows:
            return f"FAIL ({self.reason})"
        worst = self.worst
        if worst.max_ratio <= 1.0:
            text = f"{worst.max_ratio:.0%} in {worst.distribution}, E {figure(self.max_e())}"
        elif np.isfinite(worst.max_ratio):
            text = f"{figure(worst.max_ratio)} × bound in {worst.distribution}, E {figure(self.max_e())}"
        else:
            text = f"NaN, ∞ or no output in {worst.distribution}"
        return f"{'pass' if self.passed else 'FAIL'}: {text}"


@dataclass
class Found:
    """All outcomes, and what the runtimes say of themselves."""

    outcomes: dict[Key, Outcome] = field(default_factory=dict)
    details: dict[str, dict[str, str]] = field(default_factory=dict)


def cnn(channels: int = 1, width: int = 4, hidden: int = 6, outputs: int = 3) -> BackboneHead:
    """A small CNN with a NALU head; batch and image size are free."""
    norm = nn.BatchNorm2d(width)
    backbone = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2))
    model = build_head(backbone, width, [hidden], "classification", outputs, pool="avg")
    assert norm.running_mean is not None
    norm.running_mean.uniform_(-0.5, 0.5)
    return model.eval()


def saturated(inputs: int) -> NALUCell:
    """A cell that has learnt its task, see :func:`benchmarks.cells.saturated`."""
    return subjects.our_cell(cells.saturated(np.random.default_rng(0), inputs))


def all_subjects(*, quick: bool) -> list[Subject]:
    """Every kind of layer; ``quick`` keeps one of each sort."""
    if quick:
        return [
            Subject("NALU [4, 5, 2]", lambda: NALU(4, 5, 2), (4,)),
            Subject("saturated cell, 2 inputs", partial(saturated, 2), (2,), 2),
            Subject("CNN + head, free size", cnn, (1, 8, 8)),
        ]
    found = [
        Subject("NAC cell 8 → 4", lambda: NACCell(8, 4), (8,)),
        Subject("NAC [4, 3, 2]", lambda: NAC(4, 3, 2), (4,)),
        Subject("NALU cell 4 → 8", lambda: NALUCell(4, 8), (4,)),
    ]
    for tied, gate in product((True, False), ("matrix", "row")):
        name = f"NALU [4, 5, 2], {'tied' if tied else 'untied'}, {gate} gate"
        found.append(Subject(name, partial(NALU, 4, 5, 2, tied=tied, gate=gate), (4,)))
    return [
        *found,
        *(Subject(f"NALU [6, 4], ε = {eps:g}", partial(NALU, 6, 4, eps=eps), (6,)) for eps in EPSILONS),
        *(Subject(f"NALU {list(dims)}", partial(NALU, *dims), (dims[0],)) for dims in STACKS),
        *(Subject(f"saturated cell, {size} inputs", partial(saturated, size), (size,), size) for size in cells.SIZES),
        Subject("CNN + head, free size", cnn, (1, 16, 16)),
    ]


def measure(setup: Setup, *, quick: bool) -> Found:
    """All files: first in the ONNX runtimes and eager PyTorch, then in TorchScript."""
    found = Found()
    chosen = all_subjects(quick=quick)
    for names, until in ((setup.onnx, ONNX_UNTIL), ((setup.script,), SCRIPT_UNTIL)):
        for subject, weights, compute in product(chosen, WEIGHTS, COMPUTE):
            extra: tuple[str, ...] = ()
            if names == setup.onnx and (weights, compute) == (WEIGHTS[0], COMPUTE[0]):
                extra = (setup.eager,)  # it runs the model and not the file: once is enough
            wanted = (*names, *extra)
            if setup.late(until):
                outcomes = {name: Outcome(reason=OUT_OF_TIME) for name in wanted}
            else:
                setup.progress(f"parity: {subject.name}, {weights}, {compute}: {', '.join(wanted)}")
                options = CheckOptions(samples=SAMPLES[quick], search=SEARCH[quick])
                outcomes = outcomes_of(subject, weights, compute, wanted, options, found.details)
            for name, outcome in outcomes.items():
                found.outcomes[subject.name, weights, compute, name] = outcome
    return found


def outcomes_of(
    subject: Subject,
    weights: Weights,
    compute: Compute,
    names: Sequence[str],
    options: CheckOptions,
    details: dict[str, dict[str, str]],
) -> dict[str, Outcome]:
    """One file in several runtimes of one format; whatever is raised becomes the outcome."""
    if len(subject.shape) > 1:
        options = replace(options, samples=None)  # for images that is few already
    try:
        graph = subject.graph()
        format_name = next((wanted for name in names if (wanted := get_runtime(name).format)), "onnx")
        data = formats.get(format_name).emit(graph, EmitOptions(weights, compute)).to_bytes({})
        sizes = sweep(graph) if graph.interface.free else [graph.sizes]
        report = verify(CheckRequest(graph, data, sizes, compute, names, options, skip_missing=True), format_name)
    except Exception as error:  # noqa: BLE001  a failing item is a line of the table
        if len(names) == 1:
            return {names[0]: Outcome(reason=brief(error))}
        # Which one it was shows when each runs alone.
        apart = [outcomes_of(subject, weights, compute, [name], options, details) for name in names]
        return {name: outcome for part in apart for name, outcome in part.items()}
    for info in report.runtimes:
        details.setdefault(info.name, {**info.details, "where": info.where})
    return {name: _outcome(report, name) for name in names}


def _outcome(report: Report, name: str) -> Outcome:
    if name in report.missing:
        return Outcome(reason=report.missing[name])
    ran = tuple(info for info in report.runtimes if info.name == name)
    rows = tuple(row for row in report.rows if row.runtime == name)
    alone = replace(report, rows=rows, runtimes=ran)
    return Outcome(rows, alone.passed, "" if alone.passed else alone.summary())


def sections(found: Found, setup: Setup, *, quick: bool) -> list[Section]:
    """The tables: the runtimes, all files, E of saturated cells, and what failed."""
    return [
        runtimes_section(found, setup),
        files_section(found, setup, quick=quick),
        *saturated_section(found, setup),
        *failures_section(found),
    ]


def runtimes_section(found: Found, setup: Setup) -> Section:
    """What each runtime says of itself, with the options really in force."""
    keys = ("library", "provider", "device", "driver", "cuda", "options")
    return Section(
        title="Runtimes",
        method="As each session says of itself once it is loaded; options are those in force, not those asked for.",
        header=("runtime", *keys),
        rows=tuple(
            (name, *(found.details.get(name, {}).get(key, "did not run") or "none" for key in keys))
            for name in setup.names
        ),
    )


def files_section(found: Found, setup: Setup, *, quick: bool) -> Section:
    """Every file in every runtime."""
    rows = []
    for name, weights, compute in dict.fromkeys(key[:3] for key in found.outcomes):
        outcomes = [found.outcomes.get((name, weights, compute, runtime)) for runtime in setup.names]
        rows.append((name, weights, compute, *("" if outcome is None else str(outcome) for outcome in outcomes)))
    passed = sum(outcome.passed for outcome in found.outcomes.values())
    return Section(
        title="Files: largest error over its bound",
        method=(
            f"The check of docs/parity.md: every input distribution, {SAMPLES[quick]} samples of each (images: 48, of "
            f"five sizes), batches of 1, 2 and the rest, {SEARCH[quick]} generations of search; TF32 off. Weights and "
            "intermediate values must hold too and are named where they do not. A cell gives the verdict, the largest "
            "error as share of its bound with the distribution where it is, and the largest E of all distributions. "
            f"{setup.eager} runs the model and not the file, so it stands in the first row of each model."
        ),
        header=("model", "weights", "compute", *setup.names),
        rows=tuple(rows),
        targets=(
            Target(
                f"every file passes on every CUDA runtime ({passed} of {len(found.outcomes)})",
                0 < passed == len(found.outcomes),
            ),
        ),
    )


def saturated_section(found: Found, setup: Setup) -> list[Section]:
    """E of the cells that have learnt their task."""
    sizes = {subject.name: subject.saturated for subject in all_subjects(quick=False) if subject.saturated}
    ran = [name for name in sizes if any(key[0] == name for key in found.outcomes)]
    files = [name for name in setup.names if name != setup.eager]
    rows, reached = [], {compute: bool(ran) for compute in COMPUTE}
    for runtime, compute in [*product(files, COMPUTE), (setup.eager, COMPUTE[0])]:
        texts = []
        for name in ran:
            outcomes = [
                outcome
                for weights in WEIGHTS
                if (outcome := found.outcomes.get((name, weights, compute, runtime))) is not None
            ]
            e = max((outcome.max_e(UNIFORM) for outcome in outcomes), default=np.inf)
            every = max((outcome.max_e() for outcome in outcomes), default=np.inf)
            texts.append(f"{figure(e)} ({figure(every)})" if np.isfinite(e) else "did not run")
            limit = LIMIT32 if compute == "float32" else LIMIT64 + SLACK
            if runtime in files:
                reached[compute] &= e <= limit and all(outcome.passed for outcome in outcomes)
        rows.append((runtime, compute, *texts))
    if not ran:
        return []
    largest = max(sizes[name] for name in ran)
    return [
        Section(
            title="Saturated cells: E",
            method=(
                "Largest error in float32 roundoffs of the terms that are added, folded and live files together, "
                f"over the inputs {', '.join(UNIFORM)} (30 % exact zeros), as in docs/benchmarks.md; in brackets over "
                "all distributions with the search. Cells as there: up to three weights of ±1 for each of 8 outputs, "
                "the others off."
            ),
            header=("runtime", "compute", *(f"{sizes[name]} inputs" for name in ran)),
            rows=tuple(rows),
            targets=(
                Target(f"E ≤ {LIMIT32:g} in float32 for saturated cells up to {largest} inputs", reached["float32"]),
                Target(f"E ≤ {LIMIT64:g} in float64", reached["float64"]),
            ),
        )
    ]


def failures_section(found: Found) -> list[Section]:
    """What did not pass, with where it goes wrong; nothing where everything passed."""
    rows = tuple((*key, outcome.reason) for key, outcome in found.outcomes.items() if not outcome.passed)
    if not rows:
        return []
    method = "The summary of the check, or why there was none."
    return [Section("What failed", method, ("model", "weights", "compute", "runtime", "what"), rows)]
