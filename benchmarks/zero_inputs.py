"""What happens to the outputs of an untrained layer when some of its inputs are exactly zero."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks import cells, subjects
from benchmarks.report import Section, Target
from benchmarks.running import Array
from benchmarks.witness import Witness, witness

FEATURES = 16
SUBJECTS = (subjects.DEFAULT, subjects.FOLDED)


@dataclass(frozen=True)
class Shares:
    """Shares of the outputs of several cells."""

    infinite: float
    nan: float
    off: float

    @staticmethod
    def of(out: Array, expected: Witness) -> "Shares":
        """What ``out`` amounts to; off by more than 1 % includes NaN and infinite."""
        return Shares(float(np.isinf(out).mean()), float(np.isnan(out).mean()), float(expected.off(out, 0.01).mean()))

    @staticmethod
    def mean(shares: list["Shares"]) -> "Shares":
        """Over cells of the same size."""
        infinite, nan, off = np.mean([(share.infinite, share.nan, share.off) for share in shares], axis=0)
        return Shares(infinite, nan, off)

    def __str__(self) -> str:
        return f"{_percent(self.infinite)} / {_percent(self.nan)} / {_percent(self.off)}"


def _percent(share: float) -> str:
    # 99.99 % is not 100 %: only what is exact loses its digit.
    return f"{100 * share:.0f} %" if share in (0.0, 1.0) else f"{100 * share:.1f} %"


def zero_columns(cell_seed: int, columns: int) -> dict[str, Shares]:
    """A freshly initialised NALU(16, 8) whose first inputs are always zero, the others 0.1..1."""
    torch.manual_seed(cell_seed)
    parameters = cells.initialised(FEATURES)
    x = cells.RANGES["0.1..1"](np.random.default_rng(0), (cells.SAMPLES, FEATURES))
    x[:, :columns] = 0.0
    expected = witness(parameters, x)
    with TemporaryDirectory() as folder:
        runs = subjects.build(parameters, Path(folder), SUBJECTS)
        return {name: Shares.of(run(x), expected) for name, run in runs.items()}


def benchmark(*, quick: bool) -> Section:
    """Zero columns in the input of an untrained layer."""
    seeds = range(2 if quick else 8)
    rows: list[tuple[str, ...]] = []
    ours: list[Shares] = []
    for columns in (1, 2):
        found = [zero_columns(seed, columns) for seed in seeds]
        for name in SUBJECTS:
            shares = [one[name] for one in found]
            mean, worst = Shares.mean(shares), max(shares, key=lambda share: (share.off, share.infinite + share.nan))
            rows.append((name, str(columns), *(map(_percent, (mean.infinite, mean.nan, mean.off))), str(worst)))
            ours += shares if name == subjects.FOLDED else []
    return Section(
        title="Exact zeros: a NALU(16, 8) as initialised",
        method=(
            f"Shares of the outputs of {len(seeds)} initialisations on {cells.SAMPLES} samples, whose first one or two "
            "inputs are always 0 and the others 0.1..1. Off: by more than 1 % of the terms that are added. Last "
            "column: infinite / NaN / off for the worst of the initialisations."
        ),
        header=("what computes it", "zero inputs", "infinite", "NaN", "off > 1 %", "worst initialisation"),
        rows=tuple(rows),
        targets=(Target("none of our outputs is off by 1 %", all(share.off == 0.0 for share in ours)),),
    )
