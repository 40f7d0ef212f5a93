"""How accurate a correct evaluation is: the roundoff of each operation, in one place for every rule."""

import functools
import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Compute = Literal["float32", "float64"]
COMPUTE: tuple[Compute, ...] = ("float32", "float64")
SINGLE = 2.0**-24
DOUBLE = 2.0**-53
# Kernels of elementary functions are correct when they are as accurate as the OpenCL C specification asks of a device
# (ULP values, embedded profile: exp, log, sqrt, sin, cos, sinh and asinh 4 ulp, tanh 5, erf and pow 16); one ulp is at
# most two roundoffs. docs/parity.md has what runtimes were measured to do. torch's own float32 sqrt is off by 1.5
# roundoffs on CPUs where it goes through MKL.
EXP, LOG, SQRT, SIN, COS, TANH, ERF, POW = 8.0, 8.0, 8.0, 8.0, 8.0, 10.0, 32.0, 32.0
# OpenVINO 2026.4 and tract 0.23 multiply by the rounded reciprocal.
QUOTIENT = 2.0
# A target without them computes x·log(w)/(w − 1) with w = 1 + x: a logarithm and five roundings, and near 0 2t/(1 − t)
# with t = tanh(x/2), |x| < 3/4: there (1 + t/(1 − t)) tanhs and three roundings.
LOG1P, EXPM1 = LOG + 6.0, 20.0
# An ONNX file has neither sinh nor asinh (formats/onnx/functions.py). From 2 on sinh is e²/2·w − 1/(2e²·w) with
# w = exp(|x| − 2): an exponential, the constant and the product, 1.04 times where both terms count, and a subtraction.
# From 3/4 on asinh is log(…) + log 2: a logarithm and a sum where x is large, and less than that elsewhere. Below they
# are polynomials, 4 and 3 roundings. tests/formats/onnx/test_functions.py derives both.
SINH, ASINH = EXP + 4.0, LOG + 1.0
# That exp is of |x| less this, so sinh overflows where it has to.
SINH_SHIFT = 2.0
# TF32 keeps ten bits of a factor; hardware may cut the others off instead of rounding, and so may its adders.
TF32_FACTOR = 2.0**-10


@dataclass(frozen=True)
class Precision:
    """The arithmetic of an evaluation.

    Attributes:
        roundoff: largest relative error of an addition, product or quotient.
        tiny: whatever is smaller may be flushed to zero.
        tf32: whether the factors of matrix products and convolutions are rounded to TF32.
        dtype: type that literals and constants are rounded to.
        exp_limit: nothing is known of the exp of a larger number.
        tiles: whether convolutions may transform tiles (Winograd).
    """

    roundoff: float
    tiny: float
    tf32: bool
    dtype: torch.dtype
    exp_limit: float = math.inf
    tiles: bool = False

    @property
    def largest(self) -> float:
        """What is larger becomes infinite."""
        return float(torch.finfo(self.dtype).max)

    @property
    def product(self) -> float:
        """Largest relative error of one product in a matrix product."""
        return self.roundoff + (2.0 * TF32_FACTOR + TF32_FACTOR**2 if self.tf32 else 0.0)

    @property
    def addition(self) -> float:
        """Largest relative error of one addition in a matrix product."""
        return 2.0 * self.roundoff if self.tf32 else self.roundoff

    def below(self, bound: float) -> float:
        """A lower bound of numbers, after they have been rounded or flushed to zero."""
        lower = bound - 2.0 * self.roundoff * abs(bound)
        return min(lower, 0.0) if abs(lower) < self.tiny else lower

    def rounded(self, value: Tensor, radius: Tensor, roundoffs: float = 1.0) -> Tensor:
        """The radius after an operation whose result is off by ``roundoffs``; an exact zero stays one."""
        magnitude = value.abs() + radius
        off = torch.add(radius, magnitude, alpha=roundoffs * self.roundoff)
        if not off.numel() or bool(magnitude.amin() > 0):  # the usual case, and the quickest to compute
            return off.add_(self.tiny)
        return torch.where(magnitude == 0, off, off + self.tiny)

    def representation(self, constant: Tensor) -> Tensor:
        """How far a constant, computed in float64 and rounded once, may be from the true one."""
        if self.dtype == torch.float64:
            return 8.0 * DOUBLE * constant.abs()
        off = (constant.to(self.dtype).double() - constant).abs()
        # Another tanh in float64 may be off in its last bits, which shows only where rounding has to choose.
        rounded = torch.where(off == 0, 0.0, off + 8.0 * DOUBLE * constant.abs())
        # What is subnormal may be read as zero.
        return torch.where(constant.abs() < self.tiny, constant.abs(), rounded)


FLOAT32 = Precision(SINGLE, torch.finfo(torch.float32).tiny, False, torch.float32)
TF32 = Precision(SINGLE, torch.finfo(torch.float32).tiny, True, torch.float32)
FLOAT64 = Precision(DOUBLE, torch.finfo(torch.float64).tiny, False, torch.float64)


def own_rounding(precision: Precision, terms: Tensor | float, size: Tensor) -> Tensor | float:
    """How far the analysis's own float64 sum of ``terms`` may be off, where that may be more than a float32 bound.

    It is, where one term is 2⁵³ times all others: these cost float32 no more than they are. In float64 the caller takes
    every radius twice.
    """
    return 0.0 if precision.dtype == torch.float64 else DOUBLE * terms * size


@dataclass(frozen=True)
class Profile:
    """What a runtime evaluates, as far as its error depends on it.

    Attributes:
        compute: type of the arithmetic layers; everything around them is float32.
        own_weights: whether effective weights are computed in float32 too, as eager PyTorch does, instead of in
            float64 and rounded once.
        tf32: whether matrix products and convolutions in float32 may use TF32.
        exp_limit: the largest argument that the runtime's exp takes.
        as_written: whether gates are computed as the source spells them, ``1 − σ(z)`` with its cancellation.
        all_double: whether what is not an arithmetic layer is float64 too.
        live: whether the file has the raw parameters, and values on the way from them to the weights.
        tiles: whether float32 convolutions may transform tiles (Winograd), as cuDNN's do.
    """

    compute: Compute = "float32"
    own_weights: bool = False
    tf32: bool = False
    exp_limit: float = math.inf
    as_written: bool = False
    all_double: bool = False
    live: bool = False
    tiles: bool = False

    @functools.cached_property
    def outside(self) -> Precision:
        """Of what is not an arithmetic layer."""
        if self.all_double:
            return FLOAT64
        return replace(TF32 if self.tf32 else FLOAT32, exp_limit=self.exp_limit, tiles=self.tiles)

    @functools.cached_property
    def inside(self) -> Precision:
        """Of the arithmetic layers."""
        return FLOAT64 if self.compute == "float64" else self.outside
