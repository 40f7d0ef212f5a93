"""Error against the size of the input, binned for a plot."""

import numpy as np

from nalu_export.parity.batch import Batch
from nalu_export.parity.comparison import Samples
from nalu_export.parity.report import Curve

BINS_PER_DECADE = 4


class CurveBuilder:
    """Keeps, for each bin of the input's size, the output with the largest error/bound."""

    def __init__(self) -> None:
        # magnitude, ratio, error, bound and unit of each bin's output; the bin of all-zero inputs is -inf.
        self._bins: dict[float, tuple[float, float, float, float, float]] = {}

    def add(self, x: Batch, each: Samples) -> None:
        """Add the samples of one comparison."""
        if not len(x) or len(x) != len(each.ratio):
            return
        magnitudes = x.magnitude()
        error = np.where(np.isinf(each.ratio), np.inf, each.error)
        columns = np.stack([magnitudes, each.ratio, error, each.bound, each.unit])
        with np.errstate(divide="ignore"):
            keys = np.floor(BINS_PER_DECADE * np.log10(magnitudes))
        known = np.flatnonzero(np.isfinite(each.bound) & np.isfinite(magnitudes))
        # The first of each bin has its largest ratio.
        order = known[np.lexsort((-each.ratio[known], keys[known]))]
        found, first = np.unique(keys[order], return_index=True)
        for key, entry in zip(found.tolist(), columns[:, order[first]].T.tolist(), strict=True):
            if key not in self._bins or entry[1] > self._bins[key][1]:
                self._bins[key] = tuple(entry)

    def build(self, runtime: str) -> Curve:
        """Return the curve, in ascending order of magnitude."""
        found = sorted(self._bins.values())
        columns = list(zip(*found, strict=True)) or [()] * 5
        return Curve(runtime, columns[0], columns[2], columns[3], columns[4])
