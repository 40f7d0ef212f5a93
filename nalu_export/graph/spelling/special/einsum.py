"""``einsum``: a matrix product if the equation is one, else a product and a sum."""

import re
from typing import Any

from torch import fx

from nalu_export.graph.spelling.special.products import product
from nalu_export.graph.spelling.writer import Writer

_TERMS = re.compile(r"^([a-zA-Z.,]*)->([a-zA-Z.]*)$")
# Letters for the axes of an ellipsis; no equation can contain them.
_AXES = "αβγδζηθ"


def _einsum(writer: Writer, node: fx.Node) -> Any:
    equation, operands = _read(node)
    match = _TERMS.match(equation.replace(" ", "")) if equation else None
    terms = match[1].split(",") if match else []
    if match is None or len(operands) != len(terms):
        return NotImplemented
    hidden = max((writer.rank(x) - len(term.replace("...", "")) for x, term in zip(operands, terms, strict=True)))
    if hidden > len(_AXES):
        return NotImplemented
    terms = [
        term.replace("...", _AXES[hidden - (writer.rank(x) - len(term.replace("...", ""))) : hidden])
        for x, term in zip(operands, terms, strict=True)
    ]
    result = match[2].replace("...", _AXES[:hidden])
    if any(len(set(term)) != len(term) for term in (*terms, result)) or "." in "".join((*terms, result)):
        return NotImplemented
    operands, terms = _multiplied(writer, operands, terms)
    if len(terms) == 1:
        return _summed(writer, operands[0], terms[0], result)
    return _contracted(writer, operands, terms, result) if len(terms) == 2 else NotImplemented


def _multiplied(writer: Writer, operands: list[Any], terms: list[str]) -> tuple[list[Any], list[str]]:
    """Multiply operands with the same axes, as in a weight of two factors; data and parameters stay separate."""
    found: dict[tuple[str, bool], Any] = {}
    for operand, term in zip(operands, terms, strict=True):
        key = term, writer.is_constant(operand)
        found[key] = writer.emit("mul", found[key], operand) if key in found else operand
    return list(found.values()), [term for term, _ in found]


def _read(node: fx.Node) -> tuple[str, list[Any]]:
    if not node.args or not isinstance(node.args[0], str):
        return "", []
    rest = list(node.args[1:])
    if len(rest) == 1 and isinstance(rest[0], (list, tuple)):
        rest = list(rest[0])
    return node.args[0], rest


def _contracted(writer: Writer, operands: list[Any], terms: list[str], result: str) -> Any:
    """Write ``bi,oi->bo`` as ``x @ Wᵀ``, and any other pair as a product over the union of the axes, then a sum."""
    (x, w), (given, stored) = operands, terms
    if writer.is_constant(x) and not writer.is_constant(w):
        (x, w), (given, stored) = (w, x), (stored, given)
    shared = [axis for axis in given if axis in stored and axis not in result]
    if len(stored) == 2 and len(shared) == 1 and given[-1] == shared[0]:
        kept = stored.replace(shared[0], "")
        if kept not in given and result == given[:-1] + kept and writer.is_constant(w):
            matrix = w if stored == shared[0] + kept else writer.emit("transpose", w, 0, 1)
            return product(writer, x, matrix)
    union = result + "".join(axis for axis in dict.fromkeys(given + stored) if axis not in result)
    both = [_aligned(writer, value, term, union) for value, term in ((x, given), (w, stored))]
    return _summed(writer, writer.emit("mul", *both), union, result)


def _aligned(writer: Writer, value: Any, term: str, union: str) -> Any:
    """Return the value with its axes in the order of ``union``; missing axes get size 1."""
    order = [term.index(axis) for axis in union if axis in term]
    if order != sorted(order):
        value = writer.emit("permute", value, order)
    for place, axis in enumerate(union):
        if axis not in term:
            value = writer.emit("unsqueeze", value, place)
    return value


def _summed(writer: Writer, value: Any, term: str, result: str) -> Any:
    gone = [place for place, axis in enumerate(term) if axis not in result]
    if gone:
        value = writer.emit("sum", value, gone, False)
    left = "".join(axis for axis in term if axis in result)
    if left != result:
        value = writer.emit("permute", value, [left.index(axis) for axis in result])
    return value


SPECIAL = {"einsum": _einsum}
