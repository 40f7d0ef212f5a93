"""What each primitive that goes number by number becomes in C++: an expression over vectors.

A product that is added to something is a fused multiply-add, written out: a compiler may fuse ``a*b + c`` or not, as it
likes, and results would depend on how it was called.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import fx

from nalu_export.graph import primitive_of

# The smallest float32 that is not subnormal, and a little more, because a literal is rounded.
SMALLEST_NORMAL = 1.2e-38


class Spelling(ABC):
    """How the operands of an expression are written."""

    @abstractmethod
    def of(self, operand: Any) -> str:
        """A value, a constant or a number."""

    @abstractmethod
    def factors(self, operand: Any) -> tuple[str, str] | None:
        """Both factors of an operand that is a product which the same expression could compute; else ``None``."""


Expression = Callable[[fx.Node, Spelling], str]


def _call(function: str) -> Expression:
    return lambda node, spell: f"M::{function}({spell.of(node.args[0])})"


def _operator(symbol: str) -> Expression:
    return lambda node, spell: f"{spell.of(node.args[0])} {symbol} {spell.of(node.args[1])}"


def _product(node: fx.Node, spell: Spelling) -> str:
    """One that something may be added to in a later stage, which a compiler may see through."""
    return f"M::mul({spell.of(node.args[0])}, {spell.of(node.args[1])})"


def _add(node: fx.Node, spell: Spelling) -> str:
    for product, other in (node.args, reversed(node.args)):
        factors = spell.factors(product)
        if factors is not None:
            return f"M::fma({factors[0]}, {factors[1]}, {spell.of(other)})"
    return f"{spell.of(node.args[0])} + {spell.of(node.args[1])}"


def _sub(node: fx.Node, spell: Spelling) -> str:
    left, right = node.args
    factors = spell.factors(right)
    if factors is not None:
        return f"M::fma(M::neg({factors[0]}), {factors[1]}, {spell.of(left)})"
    factors = spell.factors(left)
    if factors is not None:
        return f"M::fma({factors[0]}, {factors[1]}, M::neg({spell.of(right)}))"
    return f"{spell.of(left)} - {spell.of(right)}"


def _log(node: fx.Node, spell: Spelling) -> str:
    """A logarithm of what cannot be zero, negative or subnormal has less to look after."""
    x = node.args[0]
    return f"M::{'log_normal' if _least(x) >= SMALLEST_NORMAL else 'log'}({spell.of(x)})"


def _least(value: Any) -> float:
    """A number that the value is not below, unless it is NaN; minus infinity where nothing is known."""
    if not isinstance(value, fx.Node):
        return float(value)
    primitive = primitive_of(value)
    name = "" if primitive is None else primitive.name
    if name in ("cast", "unsqueeze"):
        return _least(value.args[0])
    if name in ("abs", "exp"):
        return 0.0
    if name == "add":
        # Rounding does not lead below the larger of two numbers that are not negative.
        left, right = (_least(argument) for argument in value.args)
        return max(left, right) if min(left, right) >= 0.0 else -math.inf
    if name == "clamp" and value.args[1] is not None:
        low, high = value.args[1], value.args[2]
        return min(_least(low), math.inf if high is None else _least(high))
    return -math.inf


def _clamp(node: fx.Node, spell: Spelling) -> str:
    x, low, high = node.args
    text = spell.of(x)
    if low is not None:
        text = f"M::at_least({text}, {spell.of(low)})"
    return text if high is None else f"M::at_most({text}, {spell.of(high)})"


EXPRESSIONS: dict[str, Expression] = {
    "add": _add,
    "sub": _sub,
    "mul": _product,
    "div": _operator("/"),
    "neg": _call("neg"),
    "abs": _call("abs"),
    "sign": _call("sign"),
    "log": _log,
    "exp": _call("exp"),
    "tanh": _call("tanh"),
    # No "sigmoid": the well-conditioned form has none.
    "sinh": _call("sinh"),
    "asinh": _call("asinh"),
    "cos": _call("cos"),
    "clamp": _clamp,
}
