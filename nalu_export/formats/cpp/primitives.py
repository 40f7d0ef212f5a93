"""Writes each elementwise primitive as a C++ expression over vectors.

A product that is added to another value is written as an explicit fused multiply-add. A compiler is free to fuse
``a*b + c`` or not, so the result of that expression could depend on whether a sample is computed alone or in a batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import fx

# Slightly above the smallest normal float32, because literals are rounded.
SMALLEST_NORMAL = 1.2e-38


class Spelling(ABC):
    """Writes the operands of an expression."""

    @abstractmethod
    def of(self, operand: Any) -> str:
        """Write an operand: a value, a constant or a number."""

    @abstractmethod
    def factors(self, operand: Any) -> tuple[str, str] | None:
        """Write both factors of an operand that is a product and can be part of the expression; else ``None``."""

    @abstractmethod
    def is_mask(self, node: fx.Node) -> bool:
        """Return whether a node gives truth values."""

    @abstractmethod
    def least(self, operand: Any) -> float:
        """Return a lower limit of all numbers of an operand that are not NaN; minus infinity if none is known."""


Expression = Callable[[fx.Node, Spelling], str]


def _call(function: str, arguments: int = 1) -> Expression:
    return lambda node, spell: f"M::{function}({', '.join(map(spell.of, node.args[:arguments]))})"


def _operator(symbol: str) -> Expression:
    return lambda node, spell: f"{spell.of(node.args[0])} {symbol} {spell.of(node.args[1])}"


def _product(node: fx.Node, spell: Spelling) -> str:
    """Write ``M::mul``: a later stage may add to this product, and a compiler might fuse the two operations."""
    return f"M::mul({spell.of(node.args[0])}, {spell.of(node.args[1])})"


def _add(node: fx.Node, spell: Spelling) -> str:
    if spell.is_mask(node):
        # As in PyTorch, true + true is true.
        return _call("logical_or", 2)(node, spell)
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


def _pow(node: fx.Node, spell: Spelling) -> str:
    """Write a power; for a few exponents it is another function, as in PyTorch."""
    x, exponent = node.args
    if isinstance(exponent, (int, float)) and isinstance(x, fx.Node) and exponent in _POWERS:
        return _POWERS[exponent].format(spell.of(x), spell.of(1.0))
    return _call("pow", 2)(node, spell)


def _log(node: fx.Node, spell: Spelling) -> str:
    """Write a logarithm; a faster one if the operand cannot be zero, negative or subnormal."""
    x = node.args[0]
    return f"M::{'log_normal' if spell.least(x) >= SMALLEST_NORMAL else 'log'}({spell.of(x)})"


def _clamp(node: fx.Node, spell: Spelling) -> str:
    x, low, high = node.args
    text = spell.of(x)
    if low is not None:
        text = f"M::at_least({text}, {spell.of(low)})"
    return text if high is None else f"M::at_most({text}, {spell.of(high)})"


_POWERS = {
    2: "M::mul({0}, {0})",
    0.5: "M::sqrt({0})",
    -0.5: "{1} / M::sqrt({0})",
    -1: "{1} / {0}",
}
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
    "sin": _call("sin"),
    "erf": _call("erf"),
    "sqrt": _call("sqrt"),
    "pow": _pow,
    "log1p": _call("log1p"),
    "expm1": _call("expm1"),
    "floor": _call("floor"),
    "ceil": _call("ceil"),
    "round": _call("round"),
    "trunc": _call("trunc"),
    "clamp": _clamp,
    **{name: _call(name, 2) for name in ("maximum", "minimum", "lt", "gt", "le", "ge", "eq", "ne")},
    **{name: _call(name, 2) for name in ("logical_and", "logical_or")},
    "logical_not": _call("logical_not"),
    "where": _call("where", 3),
}
# The C++ template argument for each reduction.
REDUCTIONS = {"prod": "product_of", "sum": "sum_of", "mean": "mean_of", "amax": "largest_of", "amin": "smallest_of"}
# A ``linear`` is written in the stage that reads it; a ``matmul`` is a stage of its own.
PRODUCTS = ("linear", "matmul")
