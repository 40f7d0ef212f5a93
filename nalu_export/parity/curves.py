"""Error against the size of the input, binned for a plot."""

import math

import numpy as np
from numpy.typing import NDArray

from nalu_export.parity.comparison import Samples
from nalu_export.parity.report import Curve

BINS_PER_DECADE = 4


class CurveBuilder:
    """Keeps, for each bin of the input's size, the output with the largest error over its bound."""

    def __init__(self) -> None:
        self._bins: dict[int | None, tuple[float, float, float, float, float]] = {}

    def add(self, x: NDArray[np.float32], each: Samples) -> None:
        """Take the samples of one comparison."""
        if not len(x) or len(x) != len(each.ratio):
            return
        magnitudes = np.abs(x.reshape(len(x), -1).astype(np.float64)).max(axis=1, initial=0.0)
        entries = zip(magnitudes, each.ratio, each.error, each.bound, each.unit, strict=True)
        for magnitude, ratio, error, bound, unit in (tuple(map(float, entry)) for entry in entries):
            if not math.isfinite(bound) or not math.isfinite(magnitude):
                continue
            key = math.floor(BINS_PER_DECADE * math.log10(magnitude)) if magnitude else None
            if key not in self._bins or ratio > self._bins[key][1]:
                self._bins[key] = (magnitude, ratio, math.inf if math.isinf(ratio) else error, bound, unit)

    def build(self, runtime: str) -> Curve:
        """The curve, in ascending order of magnitude."""
        found = sorted(self._bins.values())
        columns = list(zip(*found, strict=True)) or [()] * 5
        return Curve(runtime, columns[0], columns[2], columns[3], columns[4])
