"""A library of faults, each planted into a right file or a right runtime: what a check is worth shows in what it finds.

One file for each kind; a fault is a small function whose docstring says what it stands for in the real world.
"""

from tests.faults import (
    backbone,
    corners,
    epsilon,
    files,
    functions,
    gates,
    outputs,
    precision,
    runtimes,
    shape,
    weights,
)
from tests.faults.fault import Fault
from tests.faults.planted import Planted, Verdict
from tests.faults.subjects import SUBJECTS, right

_MODULES = (epsilon, gates, weights, precision, functions, outputs, shape, backbone, files, runtimes, corners)

FAULTS: tuple[Fault, ...] = tuple(
    value for module in _MODULES for value in vars(module).values() if isinstance(value, Fault)
)

__all__ = ["FAULTS", "SUBJECTS", "Fault", "Planted", "Verdict", "right"]
