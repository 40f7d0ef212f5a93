"""Writes how a value is computed as one line, a recipe: ``tanh(W_hat)·sigmoid(M_hat)``.

People read the line, and :mod:`nalu_export.graph.reading.computing` computes it from the tensors of a file. Functions
are primitives with their arguments in order. ``linear(x, W)`` is ``x Wᵀ``. A name that is not an identifier is quoted.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

from torch import fx

from nalu_export.graph.formula import given_arguments
from nalu_export.graph.reading._nodes import arguments, is_, name_of, seen_through

# Largest number of characters; a longer line is not readable.
LONGEST = 2000
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
# Names that stand for values.
WORDS = {"None": None, "True": True, "False": False, "inf": math.inf, "nan": math.nan}
_INFIX = {"add": "+", "sub": "-", "mul": "·", "div": "/"}
_SUM, _PRODUCT, _SIGN, _ATOM = range(4)
_LEVELS = {"add": _SUM, "sub": _SUM, "mul": _PRODUCT, "div": _PRODUCT}

Leaf = Callable[[fx.Node], str | None]


class _TooLongError(Exception):
    pass


def recipe(node: fx.Node, leaf: Leaf) -> str | None:
    """Return how a node is computed; ``None`` if the line would be too long or contain more than primitives.

    Args:
        node: a node of a graph of primitives.
        leaf: returns the name of a node that is written by its name, ``None`` for one that is written out.
    """
    try:
        return _Writer(leaf).text(node)[0]
    except _TooLongError:
        return None


def quoted(name: str) -> str:
    """Return a name as a line writes it: quoted if it is not an identifier."""
    return name if _NAME.fullmatch(name) and name not in WORDS else json.dumps(name, ensure_ascii=False)


def _straight(node: fx.Node) -> fx.Node:
    """Return a node without operations that undo each other: two transposes, or a stack and a select from it."""
    while True:
        inner = seen_through(node) if is_(node, "select") else _turned_back(node)
        if inner is node:
            return node
        node = inner


def _turned_back(node: fx.Node) -> fx.Node:
    once = _turned(node)
    twice = None if once is None else _turned(once)
    return node if twice is None else twice


def _turned(node: fx.Node) -> fx.Node | None:
    """Return the matrix that a node is the transpose of, else ``None``."""
    inner, *dims = arguments(node) or [None]
    two = is_(node, "transpose") and sorted(dims) in ([0, 1], [-2, -1])
    swapped = is_(node, "permute") and list(dims[0]) == [1, 0]
    return inner if two or swapped else None


class _Writer:
    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf
        self._known: dict[fx.Node, tuple[str, int]] = {}

    def text(self, node: fx.Node) -> tuple[str, int]:
        """Return the text of a node, and how tightly its last operation binds."""
        if node not in self._known:
            found = self._written(node)
            if len(found[0]) > LONGEST:
                raise _TooLongError
            self._known[node] = found
        return self._known[node]

    def _written(self, node: fx.Node) -> tuple[str, int]:
        name = self._leaf(node)
        if name is not None:
            return quoted(name), _ATOM
        straight = _straight(node)
        if straight is not node:
            return self.text(straight)
        operation = name_of(node)
        if not operation:
            raise _TooLongError
        if operation == "cast":
            return self._argument(node.args[0], _SUM)
        if operation in _INFIX:
            level = _LEVELS[operation]
            left, _ = self._argument(node.args[0], level)
            # a - (b + c), a / (b · c)
            right, _ = self._argument(node.args[1], level + (operation in ("sub", "div")))
            sign = _INFIX[operation]
            return (f"{left} {sign} {right}" if level == _SUM or sign == "/" else f"{left}{sign}{right}"), level
        if operation == "neg":
            return f"-{self._argument(node.args[0], _SIGN)[0]}", _SIGN
        given = [self._argument(argument, _SUM)[0] for argument in given_arguments(node)]
        return f"{operation}({', '.join(given)})", _ATOM

    def _argument(self, argument: Any, level: int) -> tuple[str, int]:
        """Return the text of an argument, in parentheses if it binds less tightly than ``level``."""
        if isinstance(argument, fx.Node):
            text, own = self.text(argument)
            return (text, own) if own >= level else (f"({text})", _ATOM)
        if isinstance(argument, (list, tuple)):
            return f"[{', '.join(self._argument(item, _SUM)[0] for item in argument)}]", _ATOM
        if argument is None or isinstance(argument, (bool, int, float)):
            text = repr(argument)
            return (f"({text})", _ATOM) if text.startswith("-") and level > _SUM else (text, _ATOM)
        raise _TooLongError
