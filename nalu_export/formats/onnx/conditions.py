"""Comparisons, logical operators, ``where`` and ``clamp`` in ONNX."""

from collections.abc import Callable

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.operands import BOOL, Operand, alike, truth


def comparison(op_type: str) -> Callable[..., Value]:
    """Return the emitter of a comparison, which brings both operands to one type."""

    def emit(build: Builder, left: Operand, right: Operand) -> Value:
        return build.op(op_type, *alike(build, left, right), dtype=BOOL)

    return emit


def unequal(build: Builder, left: Operand, right: Operand) -> Value:
    """Emit ``left != right`` as Not(Equal): ONNX has no operator for it."""
    return build.op("Not", comparison("Equal")(build, left, right))


def logic(op_type: str) -> Callable[..., Value]:
    """Return the emitter of a logical operator on one or two truth values."""

    def emit(build: Builder, *operands: Operand) -> Value:
        return build.op(op_type, *(truth(build, operand) for operand in operands))

    return emit


def where(build: Builder, condition: Value, left: Operand, right: Operand) -> Value:
    """Emit the left value where the condition holds and the right value elsewhere."""
    a, b = alike(build, left, right)
    return build.op("Where", truth(build, condition), a, b, dtype=a.dtype)


def clamp(build: Builder, x: Value, low: float | None, high: float | None) -> Value:
    """Emit Max and Min instead of Clip: ONNX Runtime's Clip with only a lower bound turns +inf into 3.4e38."""
    if low is not None:
        x = build.op("Max", x, build.literal(low, x.dtype))
    return x if high is None else build.op("Min", x, build.literal(high, x.dtype))
