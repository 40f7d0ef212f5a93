"""The traced graph as text for a person: one line for each value that its source gives a name."""

import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from torch import fx

from nalu_export.graph.naming import label_of, numbered
from nalu_export.graph.spelling.canonical import primitive_of
from nalu_export.primitives import PRIMITIVES

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_SUMS = ("add", "sub")
_NUMBER = re.compile(r"_\d+$")


def formulas(form: fx.GraphModule, outputs: Sequence[str] = ()) -> list[str]:
    """Lines ``layers.0.m = exp(linear(log(abs(x) + 1e-10), W))``, in order of computation.

    A value that has no name of its own in the source is written out where it is read. ``linear(x, W)`` is ``x Wᵀ``.

    Args:
        form: a graph of primitives. An input is ``x``, the second ``x_2``, or what its ``meta`` says that it is
            ``called``.
        outputs: names of what it gives, each of which gets a line; by default what has no name is ``y``.
    """
    lines = []
    for node in form.graph.nodes:
        if _is_named(node):
            lines.append(f"{_name(node)} = {_expression(node)}")
        elif node.op == "output":
            results = node.args[0] if isinstance(node.args[0], (tuple, list)) else (node.args[0],)
            if outputs:
                lines += [f"{name} = {_operand(result)}" for name, result in zip(outputs, results, strict=True)]
                continue
            unnamed = [result for result in results if not _is_named(_past_casts(result))]
            named = {_name(other) for other in form.graph.nodes if _is_named(other)}
            free = (name for name in (numbered("y", place) for place in count()) if name not in named)
            lines += [f"{name} = {_operand(result)}" for name, result in zip(free, unnamed, strict=False)]
    return lines


def _past_casts(node: fx.Node) -> fx.Node:
    """What a node computes, whatever type it is handed on in."""
    primitive = primitive_of(node)
    while primitive is not None and primitive.name == "cast":
        node = node.args[0]  # type: ignore[assignment]
        primitive = primitive_of(node)
    return node


def _is_named(node: fx.Node) -> bool:
    """Whether the source assigns it to a variable; the others are called after their primitive."""
    label = label_of(node)
    return label is not None and _NUMBER.sub("", label.rpartition(".")[2]) not in PRIMITIVES


def _name(node: fx.Node) -> str:
    return str(label_of(node))


def _expression(node: fx.Node) -> str:
    primitive = primitive_of(node)
    if primitive is None:
        return _opaque(node)
    if primitive.name == "cast":
        return _operand(node.args[0])
    if primitive.name in _INFIX:
        left, right = (_operand(argument) for argument in node.args)
        if _is_sum(node.args[0]) and primitive.name not in _SUMS:
            left = f"({left})"
        if _is_sum(node.args[1]) or (primitive.name == "div" and _is(node.args[1], "mul", "div")):
            right = f"({right})"
        return f"{left} {_INFIX[primitive.name]} {right}"
    if primitive.name == "neg":
        operand = _operand(node.args[0])
        return f"-({operand})" if _is_sum(node.args[0]) else f"-{operand}"
    return f"{primitive.name}({', '.join(map(_operand, given_arguments(node)))})"


def _opaque(node: fx.Node) -> str:
    """A weight that torch computes in a way of its own."""
    if node.op == "call_module":
        return str(node.target).replace("parametrizations.", "")
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    return f"{name}({', '.join(map(_operand, node.args))})"


def given_arguments(node: fx.Node) -> list[Any]:
    """The arguments of a primitive, without those at the end that are what they are by default."""
    primitive = primitive_of(node)
    assert primitive is not None, node
    arguments = list(node.args)
    for name in reversed(primitive.parameters[: len(arguments)]):
        last, default = arguments[-1], primitive.defaults.get(name, "")
        if isinstance(last, (fx.Node, list, tuple)) or (last is not default and last != default):
            break
        arguments.pop()
    return arguments


def _operand(argument: Any) -> str:
    if isinstance(argument, (list, tuple)):
        return f"[{', '.join(map(_operand, argument))}]"
    if not isinstance(argument, fx.Node):
        return f"{argument:g}" if isinstance(argument, float) else str(argument)
    if argument.op == "placeholder":
        return str(argument.meta.get("called", argument.target))
    if argument.op == "get_attr":
        return str(argument.target)
    return _name(argument) if _is_named(argument) else _expression(argument)


def _is(argument: Any, *names: str) -> bool:
    if not isinstance(argument, fx.Node):
        return False
    node = _past_casts(argument)
    primitive = primitive_of(node)
    return primitive is not None and primitive.name in names and not _is_named(node)


def _is_sum(argument: Any) -> bool:
    return _is(argument, *_SUMS)
