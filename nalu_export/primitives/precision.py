"""How accurate a correct evaluation is: the largest rounding error of each operation, for all rules."""

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
# In roundoffs. A kernel of an elementary function counts as correct if it is as accurate as the OpenCL C specification
# requires (ULP values, embedded profile: exp, log, sqrt, sin, cos, sinh and asinh 4 ulp, tanh 5, erf and pow 16). One
# ulp is at most two roundoffs. docs/parity.md has measurements of runtimes. torch's own float32 sqrt is off by 1.5
# roundoffs on CPUs where it uses MKL.
EXP, LOG, SQRT, SIN, COS, TANH, ERF, POW = 8.0, 8.0, 8.0, 8.0, 8.0, 10.0, 32.0, 32.0
# Two roundoffs, because OpenVINO 2026.4 and tract 0.23 multiply by the rounded reciprocal.
QUOTIENT = 2.0
# A target without log1p computes x·log(w)/(w − 1) with w = 1 + x: a logarithm and five roundings. A target without
# expm1 computes 2t/(1 − t) with t = tanh(x/2) for |x| < 3/4: (1 + t/(1 − t)) tanhs and three roundings.
LOG1P, EXPM1 = LOG + 6.0, 20.0
# Our ONNX files use neither Sinh nor Asinh (formats/onnx/functions.py). From 2 on, sinh is e²/2·w − 1/(2e²·w) with
# w = exp(|x| − 2): an exponential, the constant and the product, times 1.04 where both terms count, and a subtraction.
# From 3/4 on, asinh is log(…) + log 2: a logarithm and a sum where x is large, and less than that elsewhere. Below
# these limits both are polynomials, with 4 and 3 roundings. tests/formats/onnx/test_functions.py derives both figures.
SINH, ASINH = EXP + 4.0, LOG + 1.0
# The 2 in exp(|x| − 2). Because of it, sinh overflows only where its result does.
SINH_SHIFT = 2.0
# TF32 keeps ten bits of a factor. Hardware may truncate the other bits instead of rounding, and so may its adders.
TF32_FACTOR = 2.0**-10

# Thresholds for the terms of a sum. A term is heavy if its magnitude (in a sum of products its weight) is at least this
# fraction of the largest in the same sum; else it is light. docs/parity.md explains the rule under "Additions".
SPLITS = (0.0, 2.0**-40, 2.0**-24, 2.0**-16, 2.0**-8)
# Relative error of the analysis's own comparison of two bounds, in float64.
OWN_ROUNDING = 2.0**-50


@dataclass(frozen=True)
class Precision:
    """The floating point arithmetic of an evaluation.

    Attributes:
        roundoff: largest relative error of an addition or a product.
        tiny: smaller magnitudes may be flushed to zero.
        tf32: whether the factors of matrix products and convolutions are rounded to TF32.
        dtype: type that literals and constants are rounded to.
        exp_limit: largest argument of exp; the result for a larger one is unknown.
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
        """Largest finite number."""
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
        """Return a lower bound of numbers of at least ``bound`` after they were rounded or flushed to zero."""
        lower = bound - 2.0 * self.roundoff * abs(bound)
        return min(lower, 0.0) if abs(lower) < self.tiny else lower

    def rounded(self, value: Tensor, radius: Tensor, roundoffs: float = 1.0) -> Tensor:
        """Return the radius after an operation with an error of ``roundoffs`` roundoffs; an exact zero stays exact."""
        share = roundoffs * self.roundoff
        off = torch.add(radius * (1.0 + share), value.abs(), alpha=share)
        if not off.numel() or float(off.amin()) > 0:  # the usual case, and the fastest
            return off.add_(self.tiny)
        return torch.where((value == 0) & (radius == 0), off, off + self.tiny)

    def representation(self, constant: Tensor) -> Tensor:
        """Return how far a constant, computed in float64 and rounded once, may be from the exact constant."""
        if self.dtype == torch.float64:
            return 8.0 * DOUBLE * constant.abs()
        off = (constant.to(self.dtype).double() - constant).abs()
        # A float64 tanh of another library may differ in its last bits, which matters only if the constant is rounded.
        rounded = torch.where(off == 0, 0.0, off + 8.0 * DOUBLE * constant.abs())
        # A subnormal constant may be read as zero.
        return torch.where(constant.abs() < self.tiny, constant.abs(), rounded)


FLOAT32 = Precision(SINGLE, torch.finfo(torch.float32).tiny, False, torch.float32)
TF32 = Precision(SINGLE, torch.finfo(torch.float32).tiny, True, torch.float32)
FLOAT64 = Precision(DOUBLE, torch.finfo(torch.float64).tiny, False, torch.float64)


def own_rounding(precision: Precision, terms: Tensor | float, size: Tensor) -> Tensor | float:
    """Return the error of the analysis's own float64 sum of ``terms`` terms; it may exceed the bound for float32.

    It does if one term is 2⁵³ times all others: light terms add no more to the float32 bound than their own size. For
    float64 the caller doubles every radius instead, and this returns 0.
    """
    return 0.0 if precision.dtype == torch.float64 else DOUBLE * terms * size


@dataclass(frozen=True)
class Profile:
    """How a runtime evaluates a model, as far as the error bound depends on it.

    Attributes:
        compute: type inside the arithmetic subgraphs; everything around them is float32.
        own_weights: whether the runtime computes effective weights in float32 too, as eager PyTorch does; otherwise
            they are computed in float64 and rounded once.
        tf32: whether matrix products and convolutions in float32 may use TF32.
        exp_limit: the largest argument that the runtime's exp accepts.
        as_written: whether gates are computed as the source spells them: ``1 − σ(z)``, with its cancellation.
        all_double: whether the model around the arithmetic subgraphs is float64 too.
        live: whether the file has the raw parameters, and the values between them and the weights.
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
        """Precision around the arithmetic subgraphs."""
        if self.all_double:
            return FLOAT64
        return replace(TF32 if self.tf32 else FLOAT32, exp_limit=self.exp_limit, tiles=self.tiles)

    @functools.cached_property
    def inside(self) -> Precision:
        """Precision inside the arithmetic subgraphs."""
        return FLOAT64 if self.compute == "float64" else self.outside
