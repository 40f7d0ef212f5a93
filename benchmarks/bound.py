"""Whether correct evaluations ever exceed the bound, and how tight it is: random heads on every input distribution."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.graphs import graph_of
from benchmarks.report import Section, Target
from nalu_export import NAC, NALU, formats, runtimes
from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.parity.check import profile_of
from nalu_export.parity.comparison import Comparison, Tolerance, compare_all
from nalu_export.parity.inputs import Draw, draw
from nalu_export.parity.reference import Reference
from nalu_export.runtimes.base import Arrays, RunOptions, Session

HEADS = 1312
SAMPLES = 64
WIDTHS = (1, 2, 3, 4, 5, 8, 16, 32, 64, 256)
SCALES = (0.1, 1.0, 3.0, 20.0)
EPSILONS = (1e-10, 1e-7, 1e-5, 1e-2)
# Those that take longer to load a file than to run it see every eighth head.
SELDOM = ("onnx-reference", "openvino", "tract")
# Each file is compiled or run by another program, for ten seconds.
PROGRAMS = ("cpp", "libtorch", "onnxruntime-cpp")


@dataclass(frozen=True)
class Head:
    """One random head and how it is exported."""

    graph: ModelGraph
    inputs: int
    weights: Weights
    compute: Compute

    def artifact(self, name: str) -> bytes:
        """The head in a format."""
        options = EmitOptions(self.weights, self.compute)
        return formats.get(name).emit(self.graph, options).to_bytes({})


@dataclass
class Tally:
    """What was seen of one runtime in one type.

    Attributes:
        heads: how many.
        ratios: for each sample the largest error over its bound.
        outputs: numbers compared.
        undetermined: outputs left out, because float32 overflows on the way to them.
        exceeded: heads with a finite error beyond its bound.
        nonfinite: heads with a NaN or infinity where none should be.
    """

    heads: int = 0
    ratios: list[NDArray[np.float64]] = field(default_factory=list)
    outputs: int = 0
    undetermined: int = 0
    exceeded: int = 0
    nonfinite: int = 0

    def add(self, parts: list[Comparison]) -> None:
        """One head, all its distributions."""
        self.heads += 1
        ratios = np.concatenate([part.each.ratio for part in parts])
        self.ratios.append(ratios[np.isfinite(ratios)])
        self.outputs += sum(part.outputs for part in parts)
        self.undetermined += sum(part.undetermined for part in parts)
        self.exceeded += bool((ratios[np.isfinite(ratios)] > 1.0).any())
        self.nonfinite += any(part.nonfinite_mismatches or part.wrong_zeros for part in parts)

    def row(self, name: str) -> tuple[str, ...]:
        """As the table shows it."""
        ratios = np.concatenate(self.ratios)
        return (
            name,
            f"{self.heads:,}",
            f"{len(ratios):,}",
            f"{self.outputs:,}",
            f"{100 * self.undetermined / self.outputs:.1f} %",
            f"{np.median(ratios):.3f}",
            f"{np.quantile(ratios, 0.99):.3f}",
            f"{ratios.max():.3f}",
            f"{self.exceeded:,}",
            f"{self.nonfinite:,}",
        )


def random_head(seed: int) -> Head:
    """A NAC or NALU of one to three cells, of any width, gate and ε, with weights from tiny to saturated."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    widths = [int(width) for width in rng.choice(WIDTHS, rng.integers(2, 5))]
    model: nn.Module
    if rng.random() < 0.25:
        model = NAC(*widths)
    else:
        gate = "row" if rng.random() < 0.3 else "matrix"
        model = NALU(*widths, eps=float(rng.choice(EPSILONS)), tied=bool(rng.random() < 0.7), gate=gate)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(float(rng.choice(SCALES)))
            if rng.random() < 0.3:  # as trained weights are: settled at −1, 0 and 1
                parameter.copy_(torch.where(parameter.abs() < parameter.abs().median(), 0.0, parameter * 40))
    weights: Weights = WEIGHTS[int(rng.integers(2))]
    compute: Compute = COMPUTE[int(rng.random() < 0.25)]
    return Head(graph_of(model), widths[0], weights, compute)


def measure(heads: int) -> dict[str, Tally]:
    """Run the heads in every runtime that is installed, needs no device and runs in this process."""
    found: dict[str, Tally] = {}
    for seed in range(heads):
        head = random_head(seed)
        quick = [name for name in runtimes.names() if "cuda" not in name and name not in PROGRAMS]
        names = [name for name in quick if name not in SELDOM or seed % 8 == 0]
        sessions = dict(_sessions(head, names))
        reference = Reference(head.graph)
        profiles = {name: profile_of(runtimes.get(name), session, head.compute) for name, session in sessions.items()}
        parts: dict[str, list[Comparison]] = {name: [] for name in sessions}
        outputs = [port.name for port in head.graph.interface.outputs]
        for drawn in draw(head.graph.interface.inputs, [head.graph.sizes], SAMPLES, seed):
            expected = reference(drawn.x, list(dict.fromkeys(profiles.values())))
            for name, session in sessions.items():
                profile = profiles[name]
                found_here = compare_all(_run(session, drawn), expected[profile], outputs, Tolerance(profile.compute))
                parts[name].append(found_here)
        for name in sessions:
            compute = "float32" if runtimes.get(name).own_weights else head.compute
            found.setdefault(f"{name}, {compute}", Tally()).add(parts[name])
    return found


def _sessions(head: Head, names: list[str]) -> Iterator[tuple[str, Session]]:
    data: dict[str, bytes] = {}
    for name in names:
        runtime = runtimes.get(name)
        if head.compute == "float64" and not runtime.float64:
            continue
        if runtime.format is not None and runtime.format not in data:
            data[runtime.format] = head.artifact(runtime.format)
        called, content = head.graph.called(head.graph.module), data.get(runtime.format or "", b"")
        try:
            yield name, runtime.load(called, content, RunOptions(threads=1))
        except RuntimeUnavailableError:
            continue


def _run(session: Session, drawn: Draw) -> Arrays:
    try:
        return session.run(drawn.x.arrays)
    except InputError as error:
        raise AssertionError(f"{session.where} does not run a batch: {error}") from error


def benchmark(*, quick: bool) -> Section:
    """Error over bound in every runtime that is installed."""
    torch.set_num_threads(1)
    found = measure(16 if quick else HEADS)
    pairs = sum(
        len(part) for name, tally in found.items() if name.startswith("onnxruntime-cpu") for part in tally.ratios
    )
    return Section(
        title="Bound: error over bound of random heads",
        method=(
            "Random NAC and NALU heads of one to three cells (widths 1 to 256, tied and untied, both gates, ε from "
            "1e-10 to 1e-2, weights from tiny to saturated, folded and live), each on all input distributions, "
            f"{SAMPLES} samples of each; the slower runtimes see every eighth head. A sample counts with the largest "
            "error over bound of its outputs. left out: outputs of which float32 determines no digit, because "
            "something on the way to them overflows. exceeded: heads with a finite error beyond its bound. NaN, ∞: "
            "heads with one where none should be."
        ),
        header=(
            "runtime",
            "heads",
            "heads × inputs",
            "outputs",
            "left out",
            "median",
            "99 %",
            "worst",
            "exceeded",
            "NaN, ∞",
        ),
        rows=tuple(tally.row(name) for name, tally in sorted(found.items())),
        targets=(
            Target(f"at least 10⁶ heads × inputs ({pairs:,})", pairs >= 10**6),
            Target("no error exceeds its bound", not any(tally.exceeded for tally in found.values())),
            Target("no NaN or ∞ where none should be", not any(tally.nonfinite for tally in found.values())),
        ),
    )
