"""How far outputs are from the float64 reference, as a share of the bound of the parity check."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nalu_export.graph import ModelGraph
from nalu_export.parity.batch import Batch
from nalu_export.parity.check import calibration
from nalu_export.parity.comparison import Tolerance, compare_all
from nalu_export.parity.reference import Expected, Reference
from nalu_export.primitives.precision import Profile

# As parity/check.py's profile_of has it for a runtime on CUDA.
FILE = Profile(tiles=True)
EAGER = Profile(own_weights=True, as_written=True, tiles=True)

Arrays = Sequence[NDArray[np.generic]]


class Held:
    """A model's reference, and what it expects of one batch.

    Args:
        graph: the model, captured.
        x: the batch, one input.
        profiles: the precisions that outputs are to be held to.
    """

    def __init__(self, graph: ModelGraph, x: NDArray[np.float32], profiles: Sequence[Profile] = (FILE, EAGER)) -> None:
        reference = Reference(graph, calibration(graph.interface.inputs, [graph.sizes]))
        self._names = [port.name for port in graph.interface.outputs]
        self._expected: dict[Profile, tuple[Expected, ...]] = reference(Batch.of(x), profiles)

    def ratio(self, outs: Arrays, profile: Profile = FILE) -> float:
        """Largest error over its bound; infinite where an output is missing, or not a number where it should be one."""
        return compare_all(outs, self._expected[profile], self._names, Tolerance()).max_ratio


def share(ratio: float) -> str:
    """``45 %`` of the bound, or ``1.7 ×`` it."""
    if not np.isfinite(ratio):
        return "NaN or ∞"
    return f"{ratio * 100:.2g}%" if ratio <= 1.0 else f"EXCEEDS: {ratio:.3g} ×"
