"""The records of a report besides its rows: runtimes, worst inputs, first divergences, curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nalu_export.io.figures import figure
from nalu_export.parity.batch import Batch
from nalu_export.parity.comparison import Comparison, together
from nalu_export.parity.row import Row


@dataclass(frozen=True)
class RuntimeInfo:
    """A runtime that ran.

    Attributes:
        name: as the command line spells it.
        where: device and library, one line.
        details: library, device, driver, provider and options, by name.
        decisive: whether its rows decide the verdict; the rows of other runtimes are shown for comparison.
        remarks: where it computes differently from the file, with the reason.
    """

    name: str
    where: str
    details: dict[str, str]
    decisive: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Worst:
    """The input with the largest error/bound of one runtime.

    Attributes:
        runtime: name of the runtime.
        distribution: the input distribution that the input comes from.
        ratio: error/bound, infinite for a mismatch of NaN or infinity.
        inputs: the sample by the names of the inputs, without the batch axis.
        output: name of the worst output.
        out: the runtime's output.
        reference: the expected output, in float64.
        bound: the error bound of each number of the output.
        torch: PyTorch's float32 output.
    """

    runtime: str
    distribution: str
    ratio: float
    inputs: dict[str, NDArray[np.generic]]
    output: str
    out: NDArray[np.generic]
    reference: NDArray[np.float64]
    bound: NDArray[np.float64]
    torch: NDArray[np.generic]

    @property
    def batch(self) -> Batch:
        """The input as a batch of one."""
        return Batch(tuple(array[None] for array in self.inputs.values()))


@dataclass(frozen=True)
class Divergence:
    """The first divergence: the first value that leaves its bound, for the worst input of one runtime.

    Attributes:
        runtime: name of the runtime.
        value: dotted name of the value, ``layers.0.m``; empty if every intermediate value is within its bound.
        formula: how the value is computed, ``exp(linear)``.
        index: index of the element, without the batch axis.
        got: the runtime's value.
        expected: the reference's value.
        bound: the error bound.
        reason: why no value can be named, else empty.
    """

    runtime: str
    value: str = ""
    formula: str = ""
    index: tuple[int, ...] = ()
    got: float = math.nan
    expected: float = math.nan
    bound: float = math.nan
    reason: str = ""

    def __str__(self) -> str:
        return f"first divergence: {self.text}" if self.value else self.reason

    @property
    def text(self) -> str:
        """The value with what it is and should be, or the reason."""
        if not self.value:
            return self.reason
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f"{self.value}{place} = {self.formula} is {figure(self.got, 9)}, "
            f"expected {figure(self.expected, 9)} ± {figure(self.bound, 2)}"
        )


@dataclass(frozen=True)
class Curve:
    """Error against the size of the input: for each bin, the output with the largest error/bound.

    Attributes:
        runtime: name of the runtime.
        magnitude: largest ``|x|`` of the sample, ascending; 0 for an all-zero sample.
        error: ``|out − reference|``, infinite for a mismatch of NaN or infinity.
        bound: the error bound.
        unit: ``u·D`` of that output: ``error / unit`` is E.
    """

    runtime: str
    magnitude: tuple[float, ...]
    error: tuple[float, ...]
    bound: tuple[float, ...]
    unit: tuple[float, ...]


def merge(
    runtime: str,
    distribution: str,
    parts: Sequence[Comparison | Row],
    reasons: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> Row:
    """Merge the comparisons of an input distribution, or several rows, into one row.

    Args:
        runtime: name of the runtime.
        distribution: name of the row.
        parts: at least one.
        reasons: why outputs were left out, besides the reasons in ``parts``.
        outputs: names of the model's outputs, in the order in which a comparison numbers them.
    """
    said = [reason for part in parts if isinstance(part, Row) for reason in part.reasons]
    return Row(
        runtime=runtime,
        distribution=distribution,
        samples=sum(part.samples for part in parts),
        **together(parts),
        problem=next((part.problem for part in parts if part.problem), ""),
        reasons=tuple(dict.fromkeys((*reasons, *said))),
        uncompared_outputs=_uncompared_outputs(parts, outputs),
    )


def _uncompared_outputs(parts: Sequence[Comparison | Row], outputs: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the outputs of which no part could compare anything."""
    each = [
        part.uncompared_outputs if isinstance(part, Row) else tuple(outputs[place] for place in part.uncompared_outputs)
        for part in parts
        if part.outputs
    ]
    return tuple(name for name in each[0] if all(name in names for names in each)) if each else ()
