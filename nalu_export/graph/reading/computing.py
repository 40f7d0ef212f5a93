"""Computes a line such as ``tanh(W_hat)·sigmoid(M_hat)`` from named tensors; the line is untrusted."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nalu_export.errors import first_line
from nalu_export.graph.reading.recipes import LONGEST, WORDS
from nalu_export.primitives import PRIMITIVES, Primitive

# Largest number of multiplications of one line.
MAX_WORK = 2**34
# Cost of a function of one number, in multiplications.
FUNCTION = 32
# Largest number of elements in the result of one operation.
MAX_NUMBERS = 2**23
MAX_DEPTH = 40
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w.]))|(?P<name>[A-Za-z_]\w*(?:\.\w+)*)"
    r'|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<sign>[-+·/(),\[\]]))'
)
_INFIX = {"+": "add", "-": "sub", "·": "mul", "/": "div"}
# Primitives that a line may not call: a cast would change the type of the computation.
_REFUSED = ("cast",)


class RecipeError(ValueError):
    """The line is not a valid recipe, or the tensors do not fit it."""


def compute(line: str, tensors: Callable[[str], Tensor | None]) -> Tensor:
    """Return the tensor that a line computes.

    Args:
        line: a line as :func:`nalu_export.graph.reading.recipes.recipe` writes it.
        tensors: returns the tensor of a name, ``None`` if there is none.

    Raises:
        RecipeError: the line is invalid, names a missing tensor, does not fit the tensors, or would take too many
            numbers or operations. The message is one line without the name of the file.
    """
    if len(line) > LONGEST:
        raise RecipeError("a formula is too long")
    found = _Reader(line, tensors).all()
    if not isinstance(found, Tensor):
        raise RecipeError("a formula gives no tensor")
    return found


class _Reader:
    """Parses a line and computes it at the same time, by recursive descent."""

    def __init__(self, line: str, tensors: Callable[[str], Tensor | None]) -> None:
        self._tokens = _tokens(line)
        self._place, self._depth, self._work, self._read = 0, 0, 0, 0
        self._tensors = tensors

    def all(self) -> Any:
        """Return the value of the whole line."""
        value = self._sum()
        if self._next() != ("", ""):
            raise RecipeError("a formula has something after its end")
        return value

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("", "")

    def _taken(self, *signs: str) -> str:
        """Consume and return the next sign if it is one of ``signs``; else return an empty string."""
        kind, text = self._next()
        if kind != "sign" or text not in signs:
            return ""
        self._place += 1
        return text

    def _sum(self) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecipeError("a formula is nested too deeply")
        value = self._product()
        while sign := self._taken("+", "-"):
            value = self._apply(_INFIX[sign], [value, self._product()])
        self._depth -= 1
        return value

    def _product(self) -> Any:
        value = self._signed()
        while sign := self._taken("·", "/"):
            value = self._apply(_INFIX[sign], [value, self._signed()])
        return value

    def _signed(self) -> Any:
        negative = False
        while self._taken("-"):
            negative = not negative
        value = self._atom()
        if not negative:
            return value
        return self._apply("neg", [value]) if isinstance(value, Tensor) else _negative(value)

    def _atom(self) -> Any:
        kind, text = self._next()
        if self._taken("("):
            value = self._sum()
            self._closed(")")
            return value
        if self._taken("["):
            return self._list("]")
        self._place += 1
        if kind == "number":
            return float(text) if set(text) & set(".e") else int(text)
        if kind == "quoted":
            return self._tensor(_unquoted(text))
        if kind != "name":
            raise RecipeError("a formula lacks a value")
        if self._taken("("):
            return self._apply(text, self._list(")"))
        return WORDS[text] if text in WORDS else self._tensor(text)

    def _list(self, end: str) -> list[Any]:
        values: list[Any] = []
        if self._taken(end):
            return values
        while True:
            values.append(self._sum())
            if not self._taken(","):
                self._closed(end)
                return values

    def _closed(self, end: str) -> None:
        if not self._taken(end):
            raise RecipeError(f"a formula lacks a {end}")

    def _tensor(self, name: str) -> Tensor:
        found = self._tensors(name)
        if found is None:
            raise RecipeError(f"the file has no tensor {name[:60]!a}")
        self._read = max(self._read, found.numel())
        return found

    def _apply(self, name: str, arguments: list[Any]) -> Any:
        primitive = PRIMITIVES.get(name)
        if primitive is None or name in _REFUSED:
            raise RecipeError(f"a formula calls {name[:60]!a}, which is not a primitive")
        given = arguments + [primitive.defaults.get(left) for left in primitive.parameters[len(arguments) :]]
        try:
            self._spend(primitive, given)
            return primitive.function(*given)
        except RecipeError:
            raise
        except Exception as error:
            # torch refused the arguments, because they do not fit each other.
            raise RecipeError(f"{name}: {first_line(error)[:200]}") from error

    def _spend(self, primitive: Primitive, arguments: list[Any]) -> None:
        """Count the numbers and operations of a call before it runs, and refuse too many."""
        made, work = _numbers(primitive, arguments)
        self._work += work
        if made > MAX_NUMBERS + 4 * self._read or self._work > MAX_WORK:
            raise RecipeError("a formula needs too many numbers or operations")


def _numbers(primitive: Primitive, arguments: list[Any]) -> tuple[int, int]:
    """Return upper bounds of the numbers in the result of a call and of the operations that it needs."""
    tensors = [value for value in _flat(arguments) if isinstance(value, Tensor)]
    total = sum(value.numel() for value in tensors)
    if primitive.kind == "elementwise":
        shape: torch.Size = torch.broadcast_shapes(*(value.shape for value in tensors))  # type: ignore[no-untyped-call]
        made = shape.numel()
        return made, made * FUNCTION
    if primitive.kind == "linear":
        inner = max(value.shape[-1] if value.ndim else 1 for value in tensors)
        made = math.prod(max(value.numel() // max(inner, 1), 1) for value in tensors[:2])
        return made, made * inner
    if primitive.name == "expand":
        made = math.prod(max(abs(size), 1) for size in _flat(arguments[1:])) * total
        return made, made * FUNCTION
    return total, total * FUNCTION


def _flat(arguments: list[Any]) -> list[Any]:
    return [item for value in arguments for item in (_flat(value) if isinstance(value, list) else [value])]


def _tokens(line: str) -> list[tuple[str, str]]:
    found, place = [], 0
    line = line.rstrip()
    while place < len(line):
        match = _TOKEN.match(line, place)
        if match is None:
            raise RecipeError(f"a formula has {line[place : place + 1]!a} where a value or an operator should be")
        kind = match.lastgroup or ""
        found.append((kind, match[kind]))
        place = match.end()
    return found


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise RecipeError("a formula has a name with invalid quotes") from error


def _negative(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecipeError("a formula negates something that is not a number")
    return -value
