"""The elementary functions whose kernels are measured: exact values, where to look closely, and what is allowed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nalu_export.primitives import precision as allowed
from nalu_export.primitives.records.trigonometric import UNREDUCED

Array = NDArray[Any]

_TURNS = tuple(k * math.pi / 2 for k in (1, 2, 3, 4, 5, 100, 1001, 100_000))


@dataclass(frozen=True)
class Operator:
    """One operator of ONNX.

    Attributes:
        name: of the operator.
        exact: its value in the type of its operands, which is wider than the kernel's.
        torch: the same in torch.
        allowance: how many roundoffs a correct kernel may be off, from nalu_export/primitives/precision.py.
        absolute: from this magnitude of the operand on the allowance is of 1, not of the value.
        close: numbers in whose neighbourhood every float is tried.
        operands: how many.
        wide: whether ``exact`` is known in long double.
        in_files: whether our ONNX files have it; else torch alone is asked.
    """

    name: str
    exact: Callable[..., Array]
    torch: Callable[..., torch.Tensor]
    allowance: float
    absolute: float = math.inf
    close: tuple[float, ...] = ()
    operands: int = 1
    wide: bool = True
    in_files: bool = True


def _erf(x: Array) -> Array:
    """By torch on the CPU: numpy has none."""
    found: Array = torch.special.erf(torch.from_numpy(np.asarray(x, np.float64))).numpy()
    return found


OPERATORS = (
    Operator("Exp", np.exp, torch.exp, allowed.EXP, close=(88.72, -87.33, -103.2, 1.0)),
    Operator("Log", np.log, torch.log, allowed.LOG, close=(1.0, 2.0**-126)),
    Operator("Tanh", np.tanh, torch.tanh, allowed.TANH, close=(0.55, 9.01, 1e-3)),
    Operator("Cos", np.cos, torch.cos, allowed.COS, absolute=0.0, close=_TURNS),
    Operator("Sin", np.sin, torch.sin, allowed.SIN, absolute=UNREDUCED, close=_TURNS),
    Operator("Sinh", np.sinh, torch.sinh, allowed.SINH, close=(1.0, 89.4), in_files=False),
    Operator("Asinh", np.arcsinh, torch.asinh, allowed.ASINH, close=(1.0, 1e-3), in_files=False),
    Operator("Erf", _erf, torch.erf, allowed.ERF, close=(0.9, 3.9), wide=False),
    Operator("Sqrt", np.sqrt, torch.sqrt, allowed.SQRT, close=(1.0, 2.0**-126)),
    Operator("Pow", np.power, torch.pow, allowed.POW, operands=2),
    Operator("Div", np.divide, torch.div, allowed.QUOTIENT, operands=2),
)
