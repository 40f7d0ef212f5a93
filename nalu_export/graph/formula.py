"""Writes a captured graph as text: one line for each value that the source assigns to a variable."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

from torch import fx

from nalu_export.graph.naming import label_of, numbered
from nalu_export.graph.spelling.canonical import primitive_of
from nalu_export.primitives import PRIMITIVES

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_SUMS = ("add", "sub")
# Largest nesting depth of an expression.
MAX_DEPTH = 30
# A larger expression than this, counted in nodes, gets its own line if it is read twice.
MAX_REPEATED = 12
_NUMBER = re.compile(r"_\d+$")


def formulas(form: fx.GraphModule, outputs: Sequence[str] = ()) -> list[str]:
    """Return lines such as ``layers.0.m = exp(linear(log(abs(x) + 1e-10), W))``, in order of computation.

    A value without a name in the source is written inside the expression that reads it. If that would nest too deep or
    repeat a long expression, the value gets its own line and the name ``v`` or ``v_2``. ``linear(x, W)`` is ``x Wᵀ``.

    Args:
        form: a graph of primitives. Its inputs are called ``x``, ``x_2`` …, or as ``meta["called"]`` says.
        outputs: names of the outputs; each gets a line. By default only outputs without a name get one: ``y``, ``y_2``.
    """
    return _Formulas(form).lines(outputs)


class _Formulas:
    """The formulas of one graph.

    Attributes:
        form: the graph.
        names: names of the values that have their own line.
    """

    def __init__(self, form: fx.GraphModule) -> None:
        self.form = form
        self.names = {node: str(label_of(node)) for node in form.graph.nodes if _is_named(node)}
        taken = set(self.names.values())
        free = (name for name in (numbered("v", place) for place in count()) if name not in taken)
        read = {node: _arguments(node) for node in form.graph.nodes}
        times = Counter(each for arguments in read.values() for each in arguments)
        sizes: dict[fx.Node, int] = {}
        depths: dict[fx.Node, int] = {}
        for node in form.graph.nodes:
            inside = [each for each in read[node] if each not in self.names]
            depths[node] = 1 + max((depths[each] for each in inside), default=0)
            sizes[node] = 1 + sum(sizes[each] for each in inside)
            repeated = times[node] > 1 and sizes[node] > MAX_REPEATED
            if node.op.startswith("call_") and node not in self.names and (depths[node] > MAX_DEPTH or repeated):
                self.names[node] = next(free)

    def lines(self, outputs: Sequence[str]) -> list[str]:
        """Return the lines, see :func:`formulas`."""
        lines = []
        for node in self.form.graph.nodes:
            if node in self.names:
                lines.append(f"{self.names[node]} = {self._expression(node)}")
            elif node.op == "output":
                lines += self._results(node, outputs)
        return lines

    def _results(self, node: fx.Node, outputs: Sequence[str]) -> list[str]:
        results = node.args[0] if isinstance(node.args[0], (tuple, list)) else (node.args[0],)
        if outputs:
            return [f"{name} = {self._operand(result)}" for name, result in zip(outputs, results, strict=True)]
        unnamed = [result for result in results if isinstance(result, fx.Node) and not _is_named(_past_casts(result))]
        taken = set(self.names.values())
        free = (name for name in (numbered("y", place) for place in count()) if name not in taken)
        return [f"{name} = {self._operand(result)}" for name, result in zip(free, unnamed, strict=False)]

    def _expression(self, node: fx.Node) -> str:
        primitive = primitive_of(node)
        if primitive is None:
            return self._opaque(node)
        if primitive.name == "cast":
            return self._operand(node.args[0])
        if primitive.name in _INFIX:
            left, right = (self._operand(argument) for argument in node.args)
            if self._is_sum(node.args[0]) and primitive.name not in _SUMS:
                left = f"({left})"
            if self._is_sum(node.args[1]) or (primitive.name == "div" and self._is(node.args[1], "mul", "div")):
                right = f"({right})"
            return f"{left} {_INFIX[primitive.name]} {right}"
        if primitive.name == "neg":
            operand = self._operand(node.args[0])
            return f"-({operand})" if self._is_sum(node.args[0]) else f"-{operand}"
        return f"{primitive.name}({', '.join(map(self._operand, given_arguments(node)))})"

    def _opaque(self, node: fx.Node) -> str:
        """Return the text of a node that is not a primitive: a weight that torch computes."""
        if node.op == "call_module":
            return str(node.target).replace("parametrizations.", "")
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return f"{name}({', '.join(map(self._operand, node.args))})"

    def _operand(self, argument: Any) -> str:
        if isinstance(argument, (list, tuple)):
            return f"[{', '.join(map(self._operand, argument))}]"
        if not isinstance(argument, fx.Node):
            return f"{argument:g}" if isinstance(argument, float) else str(argument)
        if argument.op == "placeholder":
            return str(argument.meta.get("called", argument.target))
        if argument.op == "get_attr":
            return str(argument.target)
        return self.names[argument] if argument in self.names else self._expression(argument)

    def _is(self, argument: Any, *names: str) -> bool:
        if not isinstance(argument, fx.Node):
            return False
        node = _past_casts(argument)
        primitive = primitive_of(node)
        return primitive is not None and primitive.name in names and node not in self.names

    def _is_sum(self, argument: Any) -> bool:
        return self._is(argument, *_SUMS)


def _arguments(node: fx.Node) -> list[fx.Node]:
    """Return the nodes that a node reads; a node that it reads twice is listed twice."""
    found: list[fx.Node] = []
    fx.node.map_arg((node.args, node.kwargs), found.append)
    return found


def _past_casts(node: fx.Node) -> fx.Node:
    """Return the node itself, or the node behind its casts."""
    primitive = primitive_of(node)
    while primitive is not None and primitive.name == "cast":
        node = node.args[0]  # type: ignore[assignment]
        primitive = primitive_of(node)
    return node


def _is_named(node: fx.Node) -> bool:
    """Return whether the source assigns the value to a variable; other labels are names of primitives."""
    label = label_of(node)
    return label is not None and _NUMBER.sub("", label.rpartition(".")[2]) not in PRIMITIVES


def given_arguments(node: fx.Node) -> list[Any]:
    """Return the arguments of a primitive, without the trailing ones that equal their defaults."""
    primitive = primitive_of(node)
    assert primitive is not None, node
    arguments = list(node.args)
    for name in reversed(primitive.parameters[: len(arguments)]):
        last, default = arguments[-1], primitive.defaults.get(name, "")
        if isinstance(last, (fx.Node, list, tuple)) or (last is not default and last != default):
            break
        arguments.pop()
    return arguments
