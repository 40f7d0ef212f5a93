"""How E grows with the number of inputs where the weights are not zero: every addition of a float32 sum rounds."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import nalu_export
from benchmarks import cells, subjects
from benchmarks.fidelity import LIMIT32, Cell
from benchmarks.report import Section, Target
from benchmarks.witness import Parameters, witness
from nalu_export import ParityError

SIZES = (2, 16, 64, 256, 1024)
OFF = "three of ±1, the others ±4e-18 or 0"
NEARLY_OFF = "three of ±1, the others ±2e-9 or 0"
ONE_SIGN = "three of 1, the others 4e-8"
DENSE = "as initialised"
KINDS = (OFF, NEARLY_OFF, ONE_SIGN, DENSE)


@dataclass
class Draws:
    """Several cells of one kind and size.

    Attributes:
        cell: worst E over all input ranges.
        refused: how many of them this package's own check did not let pass.
    """

    cell: Cell = field(default_factory=Cell)
    refused: int = 0

    def __str__(self) -> str:
        return f"{self.cell}" + (f" ({self.refused} refused)" if self.refused else "")


def parameters_of(kind: str, size: int, seed: int) -> Parameters:
    """One cell of that kind."""
    rng = np.random.default_rng(seed)
    if kind == DENSE:
        torch.manual_seed(seed)
        return cells.initialised(size)
    if kind == ONE_SIGN:
        drawn = cells.saturated(rng, size)
        return Parameters(np.full_like(drawn.W_hat, 20.0), drawn.M_hat.clip(-17.0, 17.0), drawn.G)
    return cells.saturated(rng, size, large=40.0 if kind == OFF else 20.0)


def measure(kind: str, size: int, seeds: int) -> Draws:
    """Our folded float32 file, over ``seeds`` draws of the weights."""
    found = Draws()
    for seed in range(seeds):
        parameters = parameters_of(kind, size, seed)
        rng = np.random.default_rng(seed)
        with TemporaryDirectory() as folder:
            found.refused += refused(parameters, Path(folder, "checked.onnx"))
            run = subjects.build(parameters, Path(folder), [subjects.FOLDED])[subjects.FOLDED]
            for draw in cells.RANGES.values():
                x = draw(rng, (cells.SAMPLES, size))
                found.cell.add(run(x), witness(parameters, x))
    return found


def refused(parameters: Parameters, path: Path) -> bool:
    """Whether an export of the cell fails its check."""
    try:
        nalu_export.export(subjects.our_cell(parameters), path)
    except ParityError:
        return True
    return False


def benchmark(*, quick: bool) -> Section:
    """E by kind of weights and number of inputs."""
    sizes, seeds = (SIZES[:2], 1) if quick else (SIZES, 4)
    found = {kind: {size: measure(kind, size, seeds) for size in sizes} for kind in KINDS}
    claims = (
        Target(
            f"E ≤ {LIMIT32:g} up to 256 inputs, {kind}",
            all(draws.cell.within(LIMIT32) for size, draws in row.items() if size <= 256),
        )
        for kind, row in found.items()
    )
    passed = Target(
        "every one of these exports passes its own check",
        not any(draws.refused for row in found.values() for draws in row.values()),
    )
    return Section(
        title="Fidelity: E of our folded float32 file by number of inputs",
        method=(
            f"As above, worst over all input ranges and {seeds} draws of the weights; refused: that many of the draws "
            "fail the check of their own export. `D` charges a sum one rounding for each product, but each addition of "
            "a float32 sum rounds as well. Weights near 4e-18 do not show that; those near 1e-8 do, because a product "
            "below half a step of the sum is lost."
        ),
        header=("weights", *(f"{size} inputs" for size in sizes)),
        rows=tuple((kind, *map(str, row.values())) for kind, row in found.items()),
        targets=(*claims, passed),
    )
