"""Functions of one number in ONNX, written out where an operator is missing or a runtime's kernel is inaccurate."""

import math

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.operands import BOOL, cast
from nalu_export.primitives.precision import SINH_SHIFT

# erf(x) = x·P(x²)/Q(x²) below 1/2, and 1 − exp(−x²)·N(x)/D(x) from 1/2 to 6. From 6 on it is 1. Coefficients start with
# the lowest power. They were fitted to erf with 60 digits; in float64 the error is at most 4 roundoffs.
_ERF_P = (1.1283791670955126, 0.132719342475833, 0.04003328880324196, 0.0011114137339709733, 6.531724198775741e-05)
_ERF_Q = (1.0, 0.4509527881638024, 0.08579617450646251, 0.00829793460490013, 0.0003515881686315997)
_ERFC_N = (
    *(0.999999999998844, 1.6605400616617023, 1.3802109591254053, 0.707489009047744, 0.23810019273407268),
    *(0.05230982182188376, 0.0069566414700965185, 0.00043558670486647954),
)
_ERFC_D = (
    *(1.0, 2.7889192287353914, 3.5271693157366912, 2.6508069319858945, 1.3000184369502654, 0.4281810114130781),
    *(0.09310321699321715, 0.012330303785186984, 0.0007720578739857437),
)
# sinh(x) = x·P(x²) up to 2 and asinh(x) = x − x³·P(x²)/Q(x²) up to 3/4. Both were fitted with 60 digits at Chebyshev
# nodes; the error is less than 2e-17.
_SINH = (
    *(1.0, 0.16666666666666596, 0.008333333333337965, 0.000198412698400817, 2.7557319376606983e-06),
    *(2.5052097378607656e-08, 1.6059509721220233e-10, 7.635690474097975e-13, 2.9631873665710642e-15),
)
_ASINH_P = (
    *(0.16666666666666666, 0.3413848100817567, 0.2343168934806057, 0.06121784035366484, 0.004832600880407937),
    1.799706206488561e-05,
)
_ASINH_Q = (
    *(1.0, 2.498308860490513, 2.2622832052492368, 0.8984362777455841, 0.1485111469919611),
    0.007441997976891662,
)
# Below this |x|, exp(x) − 1 loses more accuracy than 2t/(1 − t).
_SMALL = 0.75


def sign(build: Builder, x: Value) -> Value:
    """Emit ``(x > 0) − (x < 0)`` instead of Sign.

    torch's sign of NaN is 0; the Sign of runtimes gives NaN or 0. Comparisons with NaN are false in all of them.
    """
    zero = build.literal(0.0, x.dtype)
    above, below = (
        cast(build, build.op(comparison, x, zero, dtype=BOOL), x.dtype) for comparison in ("Greater", "Less")
    )
    return build.op("Sub", above, below)


def trunc(build: Builder, x: Value) -> Value:
    """Round towards zero."""
    below = build.op("Less", x, build.literal(0.0, x.dtype), dtype=BOOL)
    return _where(build, below, build.op("Ceil", x), build.op("Floor", x))


def log1p(build: Builder, x: Value) -> Value:
    """``x·log(w)/(w − 1)`` with ``w = 1 + x`` rounded, which is accurate near 0.

    Goldberg 1991, What every computer scientist should know about floating-point arithmetic, theorem 4.
    """
    one = build.literal(1.0, x.dtype)
    w = build.op("Add", one, x)
    log = build.op("Log", w)
    # In this order nothing overflows. Where 1 + x rounds to x (also for an infinite x) the result is log(x).
    quotient = build.op("Mul", x, build.op("Div", log, build.op("Sub", w, one)))
    large = _where(build, build.op("Equal", w, x, dtype=BOOL), log, quotient)
    return _where(build, build.op("Equal", w, one, dtype=BOOL), x, large)


def expm1(build: Builder, x: Value) -> Value:
    """``2t/(1 − t)`` with ``t = tanh(x/2)`` near 0, where ``exp(x) − 1`` cancels."""
    one, two, half = (build.literal(number, x.dtype) for number in (1.0, 2.0, 0.5))
    t = build.op("Tanh", build.op("Mul", x, half))
    near = build.op("Div", build.op("Mul", two, t), build.op("Sub", one, t))
    far = build.op("Sub", build.op("Exp", x), one)
    small = build.op("Less", build.op("Abs", x), build.literal(_SMALL, x.dtype), dtype=BOOL)
    return _where(build, small, near, far)


def sinh(build: Builder, x: Value) -> Value:
    """``x·P(x²)`` for ``|x| < 2``, else ``e²/2·w − 1/(2e²·w)`` with ``w = exp(|x| − 2)`` and the sign of x.

    Sinh is not used: ONNX Runtime has no kernel for it on CUDA and none in float64. ``|x| − 2`` is exact, and w
    overflows only where the result does.
    """
    magnitude = build.op("Abs", x)
    near = build.op("Mul", x, _polynomial(build, _SINH, build.op("Mul", x, x)))
    two, half = build.literal(SINH_SHIFT, x.dtype), math.exp(SINH_SHIFT) / 2
    w = build.op("Exp", build.op("Sub", magnitude, two))
    rising = build.op("Mul", w, build.literal(half, x.dtype))
    far = build.op("Sub", rising, build.op("Div", build.literal(0.25 / half, x.dtype), w))
    small = build.op("Less", magnitude, two, dtype=BOOL)
    return _where(build, small, near, _signed(build, far, x))


def asinh(build: Builder, x: Value) -> Value:
    """``x − x³·P(x²)/Q(x²)`` for ``|x| < 3/4``, else ``log(|x| + 1/(2(|x| + √(x² + 1)))) + log 2`` with the sign of x.

    Asinh is not used: ONNX Runtime has no kernel for it on CUDA and none in float64. Where the square overflows, 0 is
    added to ``|x|``, which is right.
    """
    magnitude, square = build.op("Abs", x), build.op("Mul", x, x)
    ratio = build.op("Div", _polynomial(build, _ASINH_P, square), _polynomial(build, _ASINH_Q, square))
    near = build.op("Sub", x, build.op("Mul", x, build.op("Mul", square, ratio)))
    root = build.op("Sqrt", build.op("Add", square, build.literal(1.0, x.dtype)))
    share = build.op("Div", build.literal(0.5, x.dtype), build.op("Add", magnitude, root))
    log = build.op("Log", build.op("Add", magnitude, share))
    far = build.op("Add", log, build.literal(math.log(2.0), x.dtype))
    small = build.op("Less", magnitude, build.literal(0.75, x.dtype), dtype=BOOL)
    return _where(build, small, near, _signed(build, far, x))


def erf(build: Builder, x: Value) -> Value:
    """``x·P(x²)/Q(x²)`` for ``|x| < 1/2``, else ``1 − exp(−x²)·N(|x|)/D(|x|)`` with the sign of x.

    Erf is not used: ONNX Runtime has it in float32 only, and OpenVINO and tract compute it to an absolute 1e-7 only.
    """
    one = build.literal(1.0, x.dtype)
    magnitude = build.op("Min", build.op("Abs", x), build.literal(6.0, x.dtype))
    square = build.op("Mul", magnitude, magnitude)
    near = build.op("Mul", x, build.op("Div", _polynomial(build, _ERF_P, square), _polynomial(build, _ERF_Q, square)))
    tail = build.op("Div", _polynomial(build, _ERFC_N, magnitude), _polynomial(build, _ERFC_D, magnitude))
    far = build.op("Sub", one, build.op("Mul", build.op("Exp", build.op("Neg", square)), tail))
    far = build.op("Mul", sign(build, x), far)
    small = build.op("Less", magnitude, build.literal(0.5, x.dtype), dtype=BOOL)
    return _where(build, small, near, far)


def _polynomial(build: Builder, coefficients: tuple[float, ...], x: Value) -> Value:
    """Evaluate a polynomial by Horner's rule; the lowest power comes first."""
    result = build.literal(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        result = build.op("Add", build.op("Mul", result, x), build.literal(coefficient, x.dtype))
    return result


def _signed(build: Builder, magnitude: Value, x: Value) -> Value:
    """Give a magnitude the sign of ``x``, which is not zero."""
    below = build.op("Less", x, build.literal(0.0, x.dtype), dtype=BOOL)
    return _where(build, below, build.op("Neg", magnitude), magnitude)


def _where(build: Builder, condition: Value, left: Value, right: Value) -> Value:
    return build.op("Where", condition, left, right, dtype=left.dtype)
