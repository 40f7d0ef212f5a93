"""Whether ε survives an export, and what the outputs are worth without it."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks import cells, subjects
from benchmarks.fidelity import LIMIT32, Cell
from benchmarks.report import Section, Target
from benchmarks.witness import witness

EPSILONS = (1e-12, 1e-10, 1e-8, 1e-7, 1e-2)
FEATURES = 16
ZEROS = "0..10, 30 % zeros"
SUBJECTS = (subjects.DEFAULT, subjects.UNOPTIMISED, subjects.FOLDED, subjects.LIVE)


def holds(path: Path, eps: float) -> bool:
    """Whether ε, as float32, is still among the constants of an ONNX file."""
    model = onnx.load(path)
    tensors = list(model.graph.initializer)
    for node in model.graph.node:
        tensors += [attribute.t for attribute in node.attribute if node.op_type == "Constant"]
    return any(bool(np.any(numpy_helper.to_array(tensor) == np.float32(eps))) for tensor in tensors)


@dataclass(frozen=True)
class Survival:
    """What one file made of ε."""

    kept: bool
    cell: Cell

    def __str__(self) -> str:
        return f"{'kept' if self.kept else 'LOST'}; {self.cell}"


def survival(eps: float) -> dict[str, Survival]:
    """Whether ε is in the file, and E on inputs with exact zeros."""
    rng = np.random.default_rng(0)
    parameters = cells.saturated(rng, FEATURES, eps=eps)
    x = cells.RANGES[ZEROS](rng, (cells.SAMPLES, FEATURES))
    expected = witness(parameters, x)
    found: dict[str, Survival] = {}
    for name in SUBJECTS:
        with TemporaryDirectory() as folder:
            run = subjects.build(parameters, Path(folder), [name])[name]
            (path,) = Path(folder).glob("*.onnx")
            cell = Cell()
            cell.add(run(x), expected)
            found[name] = Survival(holds(path, eps), cell)
    return found


def benchmark(*, quick: bool) -> Section:
    """ε from 1e-12 to 1e-2."""
    epsilons = EPSILONS[1:4:2] if quick else EPSILONS
    found = {eps: survival(eps) for eps in epsilons}
    ours = [row[name] for row in found.values() for name in (subjects.FOLDED, subjects.LIVE)]
    return Section(
        title="What becomes of ε",
        method=(
            f"Whether the float32 constant ε is still in the ONNX file, and E (or the number of NaN and infinite "
            f"outputs) on {cells.SAMPLES} samples of 0..10 with 30 % exact zeros; saturated sparse weights, {FEATURES} "
            f"inputs, {cells.OUTPUTS} outputs."
        ),
        header=("ε", *next(iter(found.values()))),
        rows=tuple((f"{eps:g}", *map(str, row.values())) for eps, row in found.items()),
        targets=(
            Target(f"ours keeps every ε, E ≤ {LIMIT32:g}", all(one.kept and one.cell.within(LIMIT32) for one in ours)),
        ),
    )
