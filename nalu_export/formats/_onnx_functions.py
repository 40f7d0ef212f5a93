"""Functions of one number in ONNX, written out where an operator is missing or a runtime's is not accurate."""

from nalu_export.formats._onnx_builder import Builder, Value
from nalu_export.formats._onnx_operands import BOOL, FLOAT32, cast

# erf(x) = x·P(x²)/Q(x²) below 1/2, and 1 − exp(−x²)·N(x)/D(x) from there to 6, where it is 1; lowest power first.
# Fitted to erf with 60 digits; in float64 the result is off by at most 4 roundoffs.
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
# Below it exp(x) − 1 loses more than 2t/(1 − t).
_SMALL = 0.75


def sign(build: Builder, x: Value) -> Value:
    """Not Sign: for NaN torch gives 0, runtimes give NaN or 0. Comparisons with NaN are false everywhere."""
    zero = build.literal(0.0, x.dtype)
    above, below = (
        cast(build, build.op(comparison, x, zero, dtype=BOOL), x.dtype) for comparison in ("Greater", "Less")
    )
    return build.op("Sub", above, below)


def trunc(build: Builder, x: Value) -> Value:
    """Towards zero."""
    below = build.op("Less", x, build.literal(0.0, x.dtype), dtype=BOOL)
    return _where(build, below, build.op("Ceil", x), build.op("Floor", x))


def log1p(build: Builder, x: Value) -> Value:
    """``x·log(w)/(w − 1)`` with ``w = 1 + x`` rounded, which is accurate near 0.

    Goldberg 1991, What every computer scientist should know about floating-point arithmetic, theorem 4.
    """
    one = build.literal(1.0, x.dtype)
    w = build.op("Add", one, x)
    log = build.op("Log", w)
    # In this order nothing overflows; where 1 is lost beside x, an infinite x among them, it is the logarithm.
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
    """ONNX Runtime has no Sinh in float64: there ``tanh(x)·cosh(x)``, which does not cancel near 0."""
    if x.dtype == FLOAT32:
        return build.op("Sinh", x)
    half = build.literal(0.5, x.dtype)
    cosh = build.op("Mul", build.op("Add", build.op("Exp", x), build.op("Exp", build.op("Neg", x))), half)
    return build.op("Mul", build.op("Tanh", x), cosh)


def asinh(build: Builder, x: Value) -> Value:
    """Nor Asinh: ``sign(x)·log1p(|x| + x²/(1 + √(x² + 1)))``. The input was float32, so its square is finite."""
    if x.dtype == FLOAT32:
        return build.op("Asinh", x)
    one = build.literal(1.0, x.dtype)
    magnitude, square = build.op("Abs", x), build.op("Mul", x, x)
    root = build.op("Sqrt", build.op("Add", square, one))
    z = build.op("Add", magnitude, build.op("Div", square, build.op("Add", one, root)))
    return build.op("Mul", sign(build, x), log1p(build, z))


def erf(build: Builder, x: Value) -> Value:
    """Not Erf, which ONNX Runtime has in float32 alone, and OpenVINO and tract with an absolute accuracy of 1e-7 alone.

    A quotient of polynomials near 0, one less such a quotient further out.
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
    """By Horner's rule."""
    result = build.literal(coefficients[-1], x.dtype)
    for coefficient in reversed(coefficients[:-1]):
        result = build.op("Add", build.op("Mul", result, x), build.literal(coefficient, x.dtype))
    return result


def _where(build: Builder, condition: Value, left: Value, right: Value) -> Value:
    return build.op("Where", condition, left, right, dtype=left.dtype)
