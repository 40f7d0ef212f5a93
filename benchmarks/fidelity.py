"""How wrong each way of running a NALU cell is, in float32 roundoffs of the terms that are added (E)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import cells, subjects
from benchmarks.report import Section, Target, figure
from benchmarks.running import Array
from benchmarks.witness import Witness, witness

LIMIT32, LIMIT64 = 5.0, 1.0


@dataclass
class Cell:
    """One cell of the table: the worst E of several batches, and how many outputs were not finite.

    Attributes:
        max_e: largest E over the finite outputs.
        nonfinite: number of NaN and infinite outputs, for each batch.
        outputs: number of outputs of each batch.
    """

    max_e: float = 0.0
    nonfinite: list[int] = field(default_factory=list)
    outputs: int = 0

    def add(self, out: Array, expected: Witness) -> None:
        """Take the output of one batch into account."""
        finite = np.isfinite(out)
        self.max_e = max(self.max_e, float(expected.errors(out)[finite].max(initial=0.0)))
        self.nonfinite.append(int((~finite).sum()))
        self.outputs = out.size

    def within(self, limit: float) -> bool:
        """Whether every output was finite and E stayed at or under ``limit``."""
        return not any(self.nonfinite) and self.max_e <= limit

    def __str__(self) -> str:
        if not any(self.nonfinite):
            return figure(self.max_e)
        low, high = min(self.nonfinite), max(self.nonfinite)
        return f"NaN/inf: {low if low == high else f'{low} to {high}'} of {self.outputs}"


def measure(sizes: Sequence[int], draws: int, samples: int = cells.SAMPLES) -> dict[str, dict[str, Cell]]:
    """``{subject: {range: cell}}`` for saturated sparse weights, ``draws`` of them for each size."""
    found = {name: {distribution: Cell() for distribution in cells.RANGES} for name in subjects.ALL}
    for size, seed in product(sizes, range(draws)):
        rng = np.random.default_rng(seed)
        parameters = cells.saturated(rng, size)
        with TemporaryDirectory() as folder:
            runs = subjects.build(parameters, Path(folder))
            for distribution, draw in cells.RANGES.items():
                x = draw(rng, (samples, size))
                expected = witness(parameters, x)
                for name, run in runs.items():
                    found[name][distribution].add(run(x), expected)
    return found


def benchmark(*, quick: bool) -> Section:
    """The table of E by subject and range."""
    sizes, draws = (cells.SIZES[:2], 1) if quick else (cells.SIZES, 4)
    found = measure(sizes, draws)
    ours32 = [cell for name in subjects.FLOAT32 for cell in found[name].values()]
    ours64 = list(found[subjects.DOUBLE].values())
    return Section(
        title="Fidelity: largest error E",
        method=(
            "`E = max |out − ref| / (2⁻²⁴·D)`: the error in float32 roundoffs of the terms that are added; `D` in "
            f"closed form and `ref` in numpy float64, from the same float32 parameters and inputs. Worst over {draws} "
            f"draws each of cells with {_listed(sizes)} inputs and {cells.OUTPUTS} outputs: up to three weights of ±1 "
            f"for each output, the others off, ε = 1e-10; {cells.SAMPLES} samples of each input range, uniform. Where "
            "outputs are NaN or infinite their number in one cell is shown instead, least and most; the exact output "
            "is always finite."
        ),
        header=("what computes it", *(f"inputs {distribution}" for distribution in cells.RANGES)),
        rows=tuple((name, *map(str, row.values())) for name, row in found.items()),
        targets=(
            Target(f"every float32 file of ours E ≤ {LIMIT32:g}", all(cell.within(LIMIT32) for cell in ours32)),
            Target(f"every float64 file of ours E ≤ {LIMIT64:g}", all(cell.within(LIMIT64) for cell in ours64)),
        ),
    )


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes[:-1])) + f" and {sizes[-1]}"
