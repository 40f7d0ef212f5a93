"""What each primitive that goes number by number becomes in C++: an expression over vectors.

A product that is added to something is a fused multiply-add, written out: a compiler may fuse ``a*b + c`` or not, as it
likes, and results would depend on how it was called.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import fx


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


def _clamp(node: fx.Node, spell: Spelling) -> str:
    x, low, high = node.args
    text = spell.of(x)
    if low is not None:
        text = f"M::at_least({text}, {spell.of(low)})"
    return text if high is None else f"M::at_most({text}, {spell.of(high)})"


EXPRESSIONS: dict[str, Expression] = {
    "add": _add,
    "sub": _sub,
    "mul": _operator("*"),
    "div": _operator("/"),
    "neg": _call("neg"),
    "abs": _call("abs"),
    "sign": _call("sign"),
    "log": _call("log"),
    "exp": _call("exp"),
    "tanh": _call("tanh"),
    # No "sigmoid": the well-conditioned form has none.
    "sinh": _call("sinh"),
    "asinh": _call("asinh"),
    "cos": _call("cos"),
    "clamp": _clamp,
}
