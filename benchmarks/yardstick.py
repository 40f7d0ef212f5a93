"""The error of modules written by hand, in units of what one float32 roundoff in each input and parameter changes.

For an output ``y(x, p)`` of a module, its inputs x and its parameters p, all float32::

    unit = max(max_k |y(x·(1 + u·s_k), p·(1 + u·t_k)) − y(x, p)|, u·|y|, 2⁻¹²⁶),   u = 2⁻²⁴

over the all-up pattern, the all-down pattern and ``PATTERNS`` random patterns of signs ``s_k``, ``t_k``, one for each
number; the error of an evaluation is ``|out − y| / unit``. Buffers and constants stay as they are. Nothing of this
package takes part: the module's own ``forward`` is evaluated in double-double (`benchmarks.extended`), because float64
cancels too (past z ≈ 36, ``1 − σ(z)`` is 0 in it). An output that moves by more than 2⁻⁸ units when every operation of
that evaluation is disturbed is left out and counted, and so is one that float32 cannot hold.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

import nalu_export
from benchmarks import cells
from benchmarks.double_double import Pair
from benchmarks.extended import evaluate
from benchmarks.report import Section, Target, figure
from benchmarks.running import Array, Run, eager, onnxruntime_cpu
from benchmarks.silence import silence
from benchmarks.usual_nalu import default_export
from nalu_export.errors import NaluExportError, first_line
from tests.handwritten.cells import CELL_SHAPE, CELLS

ROUNDOFF, SMALLEST, LARGEST = 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max)
PATTERNS, DOUBT = 16, 2.0**-8
LIMIT = 64.0
REASON = 60  # characters of a reason in the table

DEFAULT = "default torch.onnx.export → ONNX Runtime"
EAGER = "eager PyTorch, float32"
OURS = "nalu_export → ONNX Runtime"
OURS_WIDE = "nalu_export, `--compute float64` → ONNX Runtime"

RANGES: dict[str, Callable[[Generator, tuple[int, int]], Array]] = {
    **cells.RANGES,
    "all zeros": cells.between(0.0, 0.0),
    "1e-6..1e-4": cells.between(1e-6, 1e-4),
}


class Yardstick(NamedTuple):
    """Reference outputs and the unit of each.

    Attributes:
        output: rounded to float64.
        unit: what one roundoff changes.
        counted: False for outputs that are left out.
    """

    output: NDArray[np.float64]
    unit: NDArray[np.float64]
    counted: NDArray[np.bool_]

    def errors(self, out: Array) -> NDArray[np.float64]:
        """The error of each output in units; infinite where it is NaN or infinite, 0 where it is left out."""
        with np.errstate(invalid="ignore"):
            errors = np.abs(out.astype(np.float64) - self.output) / self.unit
        errors = np.where(np.isfinite(out), errors, np.inf)
        return np.where(self.counted, errors, 0.0)


def yardstick(module: nn.Module, x: Array, patterns: int = PATTERNS, seed: int = 0) -> Yardstick:
    """The reference outputs of a float32 module on float32 inputs ``(samples, features)``, and their units."""
    torch.manual_seed(seed)  # the signs
    state = {name: value.double() for name, value in module.state_dict().items()}
    parameters = {name for name, _ in module.named_parameters()}
    inputs = torch.from_numpy(x).double()
    output = evaluate(module, state, inputs)
    moved = torch.zeros_like(output.hi)
    for signs in _patterns(patterns):
        jittered = {name: _moved(value, signs) if name in parameters else value for name, value in state.items()}
        moved = torch.maximum(moved, _distance(evaluate(module, jittered, _moved(inputs, signs)), output))
    unit = torch.maximum(moved, ROUNDOFF * output.hi.abs()).clamp(min=SMALLEST)
    doubt = torch.zeros_like(unit)
    for number in range(2):
        noise = torch.Generator().manual_seed(seed + number)
        doubt = torch.maximum(doubt, _distance(evaluate(module, state, inputs, noise), output))
    # NaN is not less than anything: what the reference cannot say is left out.
    counted = (doubt < DOUBT * unit) & (output.hi.abs() <= LARGEST)
    return Yardstick(output.hi.numpy(), unit.numpy(), counted.numpy())


_Signs = Callable[[Tensor], Tensor]


def _patterns(count: int) -> Iterator[_Signs]:
    """Signs for a tensor: all up, all down, then random ones."""
    yield torch.ones_like
    yield lambda value: -torch.ones_like(value)
    for _ in range(count):
        yield lambda value: torch.randint(0, 2, value.shape) * 2.0 - 1.0


def _moved(value: Tensor, signs: _Signs) -> Tensor:
    # Exact: a float32 has 24 bits and the factor 25, their product 49.
    return value * (1.0 + ROUNDOFF * signs(value))


def _distance(a: Pair, b: Pair) -> Tensor:
    return ((a.hi - b.hi) + (a.lo - b.lo)).abs()


@dataclass
class Score:
    """What one way of running a module came to.

    Attributes:
        worst: the largest error for each input range.
        failure: why there is none, in a few words.
    """

    worst: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def within(self) -> bool:
        """Whether it ran, and no error was above ``LIMIT``."""
        return bool(self.worst) and max(self.worst.values()) <= LIMIT

    def __str__(self) -> str:
        if self.failure:
            return self.failure if len(self.failure) <= REASON else self.failure[: REASON - 1] + "…"
        distribution = max(self.worst, key=self.worst.__getitem__)
        error = self.worst[distribution]
        return f"{'∞' if np.isinf(error) else figure(error)} ({distribution})"


@dataclass(frozen=True)
class Line:
    """One module: the scores of the three ways to run it, and how many outputs were left out."""

    scores: dict[str, Score]
    left_out: int
    outputs: int


def measure(build: Callable[[], nn.Module], samples: int, patterns: int = PATTERNS) -> Line:
    """All ranges of one module, in one batch: what a sample gives does not depend on the others."""
    rng = np.random.default_rng(0)
    batches = {distribution: draw(rng, (samples, *CELL_SHAPE)) for distribution, draw in RANGES.items()}
    x = np.concatenate(list(batches.values()))
    expected = yardstick(build(), x, patterns)
    scores = {}
    with TemporaryDirectory() as folder:
        for name, way in WAYS.items():
            scores[name] = _score(way, build(), x, expected, Path(folder) / "model.onnx", samples)
    return Line(scores, int((~expected.counted).sum()), expected.counted.size)


def _score(
    way: Callable[[nn.Module, Path], Run], module: nn.Module, x: Array, expected: Yardstick, path: Path, samples: int
) -> Score:
    try:
        with silence():
            errors = expected.errors(way(module, path)(x))
    except NaluExportError as error:
        return Score(failure=f"refused: {first_line(error)}")
    except Exception as error:  # noqa: BLE001  whatever an exporter raises is what its user gets
        return Score(failure=f"fails: {type(error).__name__}: {first_line(error)}")
    parts = np.split(errors, len(x) // samples)
    return Score({distribution: float(part.max()) for distribution, part in zip(RANGES, parts, strict=True)})


def _default(module: nn.Module, path: Path) -> Run:
    default_export(module, *CELL_SHAPE, path)
    return onnxruntime_cpu(path)


def _ours(module: nn.Module, path: Path) -> Run:
    """Without its check: what is measured is the file, not whether the package lets it pass."""
    nalu_export.export(module, path, check=False)
    return onnxruntime_cpu(path)


def _ours_wide(module: nn.Module, path: Path) -> Run:
    nalu_export.export(module, path, check=False, compute="float64")
    return onnxruntime_cpu(path)


WAYS: dict[str, Callable[[nn.Module, Path], Run]] = {
    DEFAULT: _default,
    EAGER: lambda module, _: eager(module),
    OURS: _ours,
    OURS_WIDE: _ours_wide,
}


def benchmark(*, quick: bool) -> Section:
    """The worst error of every cell of ``tests/handwritten`` over all ranges, three ways to run it."""
    names = list(CELLS)[::12] if quick else list(CELLS)
    samples = 16 if quick else 256
    lines = {name: measure(CELLS[name], samples) for name in names}
    return Section(
        title="Modules written by hand: error in units of one roundoff in each input and parameter",
        method=(
            f"The largest error over the input ranges {_listed(RANGES)}, {samples} samples each, and the range where "
            "it is; ∞ where an output is NaN or infinite. The unit is the largest change of the exact output when "
            f"every input and parameter moves by 2⁻²⁴ of itself, over all up, all down and {PATTERNS} random patterns "
            "of signs, at least 2⁻²⁴ of the output. The module's own forward in double-double gives the exact output. "
            "Left out: outputs that double-double cannot tell or float32 cannot hold. Cells with 3 inputs and weights "
            "near −1, 0 and 1, of `tests/handwritten`. Where the two branches of a cell cancel (LogOnePlus, "
            "1e-6..1e-4), their own roundings to float32 are more than the limit in any file; float64 has none."
        ),
        header=("cell", *WAYS, "left out"),
        rows=tuple(
            (name, *map(str, line.scores.values()), f"{line.left_out} of {line.outputs}")
            for name, line in lines.items()
        ),
        targets=(
            Target(
                f"every file of ours ≤ {LIMIT:g} ({_counted(lines, OURS)}; {DEFAULT}: {_counted(lines, DEFAULT)}; "
                f"{EAGER}: {_counted(lines, EAGER)})",
                all(line.scores[OURS].within for line in lines.values()),
            ),
        ),
    )


def _counted(lines: dict[str, Line], way: str) -> str:
    return f"{sum(line.scores[way].within for line in lines.values())} of {len(lines)}"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"
