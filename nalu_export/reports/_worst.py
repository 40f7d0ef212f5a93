"""The worst inputs: samples and their outputs, shortened for people."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nalu_export.io.figures import exact, figure
from nalu_export.reports._png import data_uri
from nalu_export.reports._text import count

if TYPE_CHECKING:
    from nalu_export.parity.report import Report
    from nalu_export.parity.report import Worst as Found

# At most so many of each are shown.
VALUES = 12  # values of a sample
OUTPUTS = 8
PICTURES = 4  # channels of an image
PIXELS = 96  # pixels of a picture along one axis


@dataclass(frozen=True)
class Output:
    """One number of the output; ``wrong`` says whether it is beyond its error bound."""

    index: str
    out: str
    reference: str
    bound: str
    torch: str
    ratio: str
    wrong: bool


@dataclass(frozen=True)
class Input:
    """The sample of one input of the model.

    Attributes:
        name: the name of the input; ``x`` if there is only one.
        shape: the shape of the sample, as text.
        facts: the number and the range of its values, in words.
        values: its first values, as (index, value); empty for an image.
        left_out: the number of values that are not shown.
        pictures: data URIs of the channels of an image.
    """

    name: str
    shape: str
    facts: str
    values: tuple[tuple[str, str], ...]
    left_out: int
    pictures: tuple[Markup, ...]


@dataclass(frozen=True)
class Sample:
    """The worst input of one runtime.

    Attributes:
        runtime: the name of the runtime.
        distribution: the input distribution that the sample comes from.
        ratio: error/bound.
        wrong: whether error/bound is above 1.
        inputs: the inputs of the model.
        output: the name of the output that is shown.
        outputs: its numbers with the largest error/bound, in their order.
        outputs_left_out: how many numbers are not shown.
    """

    runtime: str
    distribution: str
    ratio: str
    wrong: bool
    inputs: tuple[Input, ...]
    output: str
    outputs: tuple[Output, ...]
    outputs_left_out: int


def samples(report: "Report") -> list[Sample]:
    """Return the worst input of each runtime, in the order of the report."""
    return [_sample(found) for found in report.worst]


def _sample(found: "Found") -> Sample:
    outputs = _outputs(found)
    alone = len(found.inputs) == 1
    return Sample(
        runtime=found.runtime,
        distribution=found.distribution,
        ratio=figure(found.ratio),
        wrong=found.ratio > 1,
        inputs=tuple(_input("x" if alone else name, x) for name, x in found.inputs.items()),
        output=found.output,
        outputs=outputs,
        outputs_left_out=found.out.size - len(outputs),
    )


def _input(name: str, x: NDArray[np.generic]) -> Input:
    image = x.ndim >= 2 and x.size > 0 and x.dtype.kind == "f"
    values = () if image else tuple((str(i), exact(value)) for i, value in enumerate(x.ravel()[:VALUES]))
    return Input(
        name=name,
        shape=" × ".join(map(str, x.shape)) or "1",
        facts=_facts(x),
        values=values,
        left_out=0 if image else x.size - len(values),
        pictures=_pictures(x) if image else (),
    )


def _facts(x: NDArray[np.generic]) -> str:
    finite = x[np.isfinite(x)]
    parts = [count(x.size, "value")]
    if finite.size:
        parts.append(f"from {exact(finite.min())} to {exact(finite.max())}")
    zeros = int((x == 0).sum())
    if zeros:
        parts.append(count(zeros, "exact zero"))
    return ", ".join(parts)


def _outputs(found: "Found") -> tuple[Output, ...]:
    out, torch = found.out.ravel(), found.torch.ravel()
    reference, bound = found.reference.ravel(), found.bound.ravel()
    ratios = _ratios(found).ravel().tolist()
    worst = sorted(range(len(ratios)), key=lambda i: -ratios[i] if ratios[i] >= 0 else 1.0)[:OUTPUTS]
    return tuple(
        Output(
            index=", ".join(map(str, np.unravel_index(i, found.out.shape))) or "0",
            out=exact(out[i]),
            reference=figure(float(reference[i]), 10),
            bound=figure(float(bound[i])),
            torch=exact(torch[i]),
            ratio="–" if math.isnan(ratios[i]) else figure(ratios[i]),
            wrong=ratios[i] > 1,
        )
        for i in sorted(worst)
    )


def _ratios(found: "Found") -> NDArray[np.float64]:
    """Return error/bound of each number; NaN if it has no finite bound.

    A NaN or infinity in the wrong place has made the ratio of the whole sample infinite, unless it is excused because
    an intermediate value overflows.
    """
    with np.errstate(all="ignore"):
        single = found.reference.astype(found.out.dtype)
        error = np.abs(found.out.astype(np.float64) - found.reference)
        ratio = np.where(error == 0, 0.0, error / found.bound)
    finite = np.isfinite(found.out) & np.isfinite(single)
    same = (found.out == single) | (np.isnan(found.out) & np.isnan(single))
    ratio = np.where(finite, ratio, np.where(same, 0.0, np.inf if math.isinf(found.ratio) else np.nan))
    return np.where(np.isfinite(found.bound), ratio, np.nan)


def _pictures(x: NDArray[np.generic]) -> tuple[Markup, ...]:
    """Return the channels in shades of grey; black is the smallest value of the sample, white is the largest."""
    finite = np.where(np.isfinite(x), x, 0.0).astype(np.float64)
    low, high = float(finite.min()), float(finite.max())
    scaled = np.rint((finite - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    channels = scaled.reshape(-1, *scaled.shape[-2:])[:PICTURES]
    rows, columns = (-(-size // PIXELS) for size in channels.shape[1:])
    return tuple(data_uri(channel[::rows, ::columns]) for channel in channels)
