"""The error of a kernel in units in the last place, and what it does with numbers that are too small or too large."""

from dataclasses import dataclass

import numpy as np

from benchmarks.probe.operators import Array, Operator


@dataclass(frozen=True)
class Errors:
    """What one kernel did.

    Attributes:
        tried: how many operands.
        ulp: largest error in units in the last place of the value, where neither operand nor value is subnormal.
        roundoffs: the same in what the allowance is of, without the smallest normal number, which may be lost.
        worst: the operands where the error is largest.
        beyond: how many values are off by more than the allowance.
        wrong: how many are NaN or infinite and should not be, or the other way round.
        inputs: what becomes of subnormal operands.
        outputs: what becomes of subnormal values.
    """

    tried: int
    ulp: float
    roundoffs: float
    worst: str
    beyond: int
    wrong: int
    inputs: str
    outputs: str


@np.errstate(all="ignore")
def errors(operator: Operator, operands: list[Array], out: Array) -> Errors:
    """Hold a kernel to the exact function.

    Args:
        operator: the function, and what it is allowed.
        operands: in the type of the kernel.
        out: what it gave for them.
    """
    info = np.finfo(out.dtype)
    tiny, roundoff, largest = float(info.tiny), float(info.eps) / 2, float(info.max)
    exact = operator.exact(*(x.astype(wider(out.dtype)) for x in operands))
    size, error = np.abs(exact), np.abs(out.astype(exact.dtype) - exact)
    scale = np.where(np.abs(operands[0]) >= operator.absolute, 1.0, size)
    subnormal = np.any([(x != 0) & (np.abs(x) < tiny) for x in operands], axis=0)
    finite = np.isfinite(exact) & (size <= largest) & np.isfinite(out)
    # What is nearly too large may round to infinity.
    near = size * (1 + operator.allowance * roundoff) > largest
    wrong = ~finite & ~_same(out, exact, near, largest) & ~subnormal
    beyond = finite & ~subnormal & (error > operator.allowance * roundoff * scale + tiny)
    normal = finite & ~subnormal & (size >= tiny)
    place = int(np.argmax(np.where(normal, error / scale, 0.0)))
    flushed = operator.exact(*(_flushed(x, tiny).astype(exact.dtype) for x in operands))
    return Errors(
        tried=out.size,
        ulp=_largest(error / _step(size, info), normal),
        roundoffs=_largest((error - tiny) / (roundoff * scale), normal),
        worst=", ".join(f"{float(x[place])!r}" for x in operands),
        beyond=int(beyond.sum()),
        wrong=int(wrong.sum()),
        inputs=_fate(out, exact, flushed, subnormal),
        outputs=_fate(out, exact, np.zeros_like(exact), ~subnormal & (size > 0) & (size < tiny)),
    )


def _largest(values: Array, where: Array) -> float:
    return float(np.where(where, values, 0.0).max(initial=0.0))


def wider(dtype: np.dtype[np.generic]) -> type[np.floating]:
    """The type that exact values of a type are computed in."""
    return np.float64 if dtype == np.float32 else np.longdouble


def _same(out: Array, exact: Array, near: Array, largest: float) -> Array:
    """Where both are NaN, or both are infinite of one sign as far as the type of ``out`` goes."""
    infinite = (np.abs(exact) > largest) | near
    agreed = np.isinf(out) & (np.signbit(out) == np.signbit(exact))
    # The largest number is as good as infinity just beyond it.
    below = infinite & np.isfinite(exact) & np.isfinite(out)
    found: Array = (np.isnan(out) & np.isnan(exact)) | (infinite & agreed) | below
    return found


def _step(size: Array, info: np.finfo[np.floating]) -> Array:
    """One unit in the last place."""
    _, exponent = np.frexp(size)
    step: Array = np.ldexp(np.ones_like(size), np.maximum(exponent, info.minexp + 1) - info.nmant - 1)
    return step


def _flushed(x: Array, tiny: float) -> Array:
    found: Array = np.where(np.abs(x) < tiny, np.copysign(0.0, x).astype(x.dtype), x)
    return found


def _fate(out: Array, exact: Array, flushed: Array, where: Array) -> str:
    """Whether values are the exact function's or those of zero, counted where these two are not the same."""
    rounded, zero = exact.astype(out.dtype), flushed.astype(out.dtype)
    telling = where & (rounded != zero) & ~(np.isnan(rounded) & np.isnan(zero))
    count = int(telling.sum())
    if not count:
        return "no difference"
    gone = int((telling & (out == zero)).sum())
    return "kept" if gone == 0 else "flushed to 0" if gone == count else f"{gone / count:.0%} flushed to 0"
