"""Rewrites arithmetic so that it rounds better. Each rewrite is an identity of real numbers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from nalu_export.graph.evaluation import constant
from nalu_export.graph.spelling.canonical import primitive_of
from nalu_export.primitives import PRIMITIVES

IsInside = Callable[[fx.Node], bool]
_COMPARISONS = ("gt", "lt", "ge", "le")
# A gate that is read through these is still a gate.
_VIEWS = ("unsqueeze", "squeeze", "expand", "reshape", "flatten", "transpose", "permute", "select", "slice")


def without_cancellation(graph_module: fx.GraphModule, inside: IsInside = lambda _: True) -> bool:
    """Replace expressions that cancel by expressions that do not; in place.

    * ``1 − σ(z)`` becomes ``σ(−z)``, and ``a + σ(z)·(b − a)`` becomes ``σ(−z)·a + σ(z)·b``. Once ``σ(z)`` rounds to 1,
      the original forms lose the other gate, and with it a product that may be 10³⁰.
    * ``σ(z) > ½`` becomes ``z > 0``, because σ of a small z rounds to ½.
    * ``(x·W + 1) − W`` becomes ``x·W + (1 − W)``, because ``1 − W`` depends on parameters alone and is then computed
      once, in float64.

    Args:
        graph_module: a graph of primitives, as the source writes it.
        inside: returns whether a node may be rewritten; nodes that a general exporter handles must not be.

    Returns:
        Whether anything was rewritten.
    """
    writer = _Writer(graph_module)
    changed = False
    for node in list(graph_module.graph.nodes):
        if inside(node) and any(rewrite(node) for rewrite in writer.rewrites):
            changed = True
    return _finish(graph_module) if changed else False


def well_conditioned(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Replace ``σ(z)`` by ``1/(1 + exp(−z))``, and ``σ(z)·a`` by ``a/(1 + exp(−z))``; in place.

    The Sigmoid kernels of runtimes have an absolute error of about 1e-7. In ONNX Runtime σ(−18) is 0 instead of 1.5e-8,
    and a gate multiplies it by numbers as large as 1e7 (ONNX Runtime issue 22557, tract issue 2618). Exp is accurate
    relative to its size. A division rounds once, a product with a reciprocal rounds twice.
    """
    writer = _Writer(graph_module)
    for node in list(graph_module.graph.nodes):
        if _is(node, "sigmoid"):
            writer.quotient(node)
    _finish(graph_module)
    return graph_module


def _finish(graph_module: fx.GraphModule) -> bool:
    graph_module.graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    graph_module.graph.lint()
    graph_module.recompile()
    return True


class _Writer:
    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module, self._graph = graph_module, graph_module.graph
        self._constant: dict[fx.Node, bool] = {}
        self.rewrites = (self.complement, self.blend, self.threshold, self.associate)

    def complement(self, node: fx.Node) -> bool:
        """Rewrite ``1 − σ(z)``, ``−σ(z) + 1`` and ``−(σ(z) − 1)``, also of a view of σ(z)."""
        gate = self._complemented(node)
        if gate is None:
            return False
        with self._graph.inserting_before(node):
            node.replace_all_uses_with(self._other(gate, node))
        return True

    def blend(self, node: fx.Node) -> bool:
        """Rewrite ``a + σ(z)·(b − a)``, which is a ``torch.lerp``, and ``b − σ(z)·(b − a)``."""
        found = self._blended(node)
        if found is None:
            return False
        gate, chosen, other = found
        with self._graph.inserting_before(node):
            first = self._like("mul", node, gate, chosen)
            second = self._like("mul", node, self._other(gate, node), other)
            node.target, node.args = PRIMITIVES["add"].function, (first, second)
        return True

    def threshold(self, node: fx.Node) -> bool:
        """Rewrite ``σ(z) > ½`` and the other comparisons with one half, on either side."""
        if not _is(node, *_COMPARISONS):
            return False
        for place, other in ((0, 1), (1, 0)):
            gate, half = node.args[place], node.args[other]
            if _is(gate, "sigmoid") and isinstance(half, float) and half == 0.5:
                z = gate.args[0]  # type: ignore[union-attr]
                node.args = (z, 0.0) if place == 0 else (0.0, z)
                return True
        return False

    def associate(self, node: fx.Node) -> bool:
        """Rewrite ``(v ± c) ± d`` as ``v ± (c ± d)`` for constants ``c`` and ``d`` that are not both plain numbers."""
        if not _is(node, "add", "sub") or not self._is_constant(node.args[1]) or self._is_constant(node.args[0]):
            return False
        inner, last = node.args
        if not isinstance(inner, fx.Node) or not _is(inner, "add", "sub") or len(inner.users) > 1:
            return False
        left, right = inner.args
        if self._is_constant(left) and _is(inner, "add"):
            left, right = right, left
        if self._is_constant(left) or not self._is_constant(right):
            return False
        if not isinstance(right, fx.Node) and not isinstance(last, fx.Node):
            return False
        # ±c ± d becomes ±(c ± d), with the sign of c in front.
        same = _is(inner, "add") == _is(node, "add")
        with self._graph.inserting_before(node):
            both = self._like("add" if same else "sub", node, right, last)
        node.target, node.args = inner.target, (left, both)
        return True

    def quotient(self, sigmoid: fx.Node) -> None:
        """Rewrite one σ as a quotient, and products with it as one division."""
        (z,) = sigmoid.args
        with self._graph.inserting_before(sigmoid):
            # σ(−z) needs exp(z), not exp(−(−z)).
            power = z.args[0] if isinstance(z, fx.Node) and _is(z, "neg") else self._call("neg", z)
            denominator = self._call("add", self._call("exp", power), 1.0)
        for user in list(sigmoid.users):
            if _is(user, "mul"):
                left, right = user.args
                if left is right:
                    continue
                numerator = right if left is sigmoid else left
                if isinstance(numerator, fx.Node):
                    user.target, user.args = PRIMITIVES["div"].function, (numerator, denominator)
        if sigmoid.users:
            with self._graph.inserting_before(sigmoid):
                reciprocal = self._call("div", 1.0, denominator)
            sigmoid.replace_all_uses_with(reciprocal)

    def _complemented(self, node: fx.Node) -> fx.Node | None:
        """Return the gate, or the view of a gate, whose complement a node is, else ``None``."""
        if _is(node, "sub") and self._is_one(node.args[0]):
            return _gate(node.args[1])
        if _is(node, "add"):
            for one, other in (node.args, node.args[::-1]):
                if self._is_one(one) and isinstance(other, fx.Node):
                    return _gate(self._negated(other))
        if _is(node, "neg") and _is(node.args[0], "sub") and self._is_one(node.args[0].args[1]):  # type: ignore[union-attr]
            return _gate(node.args[0].args[0])  # type: ignore[union-attr]
        return None

    def _negated(self, node: fx.Node) -> Any:
        """Return ``v`` for ``−v`` and for ``−1·v``."""
        if _is(node, "neg"):
            return node.args[0]
        if _is(node, "mul"):
            for one, other in (node.args, node.args[::-1]):
                if one == -1:
                    return other
        return None

    def _blended(self, node: fx.Node) -> tuple[fx.Node, Any, Any] | None:
        """Return ``(g, b, a)`` for ``a + g·(b − a)``, and ``(g, a, b)`` for ``b − g·(b − a)``, with a gate ``g``."""
        if not _is(node, "add", "sub"):
            return None
        pairs = (node.args, node.args[::-1]) if _is(node, "add") else (node.args,)
        for end, scaled in pairs:
            for gate, difference in _either_way(scaled, "mul"):
                if _gate(gate) is None or not _is(difference, "sub"):
                    continue
                to, start = difference.args
                # a + g·(b − a) chooses b; b − g·(b − a) chooses a.
                if _is(node, "add") and start is end:
                    return gate, to, start
                if _is(node, "sub") and to is end:
                    return gate, start, to
        return None

    def _other(self, gate: fx.Node, like: fx.Node) -> fx.Node:
        """Return ``σ(−z)`` for ``σ(z)``, with the same views."""
        if _is(gate, "sigmoid"):
            (z,) = gate.args
            negative = z.args[0] if _is(z, "neg") else self._like("neg", like, z)  # type: ignore[union-attr]
            return self._like("sigmoid", like, negative)
        copied = self._graph.create_node("call_function", gate.target, gate.args, {})
        copied.meta = {key: value for key, value in like.meta.items() if key not in ("label", "formula")}
        copied.args = (self._other(gate.args[0], like), *gate.args[1:])  # type: ignore[arg-type]
        # The value that it reads was inserted after it, so move it behind that value.
        like.prepend(copied)
        return copied

    def _like(self, name: str, like: fx.Node, *args: Any) -> fx.Node:
        node = self._call(name, *args)
        node.meta = {key: value for key, value in like.meta.items() if key not in ("label", "formula")}
        return node

    def _call(self, name: str, *args: Any) -> fx.Node:
        return self._graph.call_function(PRIMITIVES[name].function, args)

    def _is_constant(self, value: Any) -> bool:
        """Return whether a value depends on parameters alone; a number does."""
        if not isinstance(value, fx.Node):
            return True
        if value not in self._constant:
            alone = value.op == "get_attr" or (value.op == "call_module" and not value.args)
            inputs = value.all_input_nodes
            self._constant[value] = alone or (bool(inputs) and all(map(self._is_constant, inputs)))
        return self._constant[value]

    def _is_one(self, value: Any) -> bool:
        """Return whether a value is the number 1 or a buffer of ones."""
        if isinstance(value, fx.Node):
            if value.op != "get_attr":
                return False
            found = constant(self._graph_module, str(value.target))
            return not isinstance(found, torch.nn.Parameter) and bool((found == 1).all())
        return not isinstance(value, bool) and isinstance(value, (int, float)) and value == 1


def _either_way(value: Any, name: str) -> tuple[tuple[Any, Any], ...]:
    """Return both orders of the arguments of the commutative primitive ``name``; nothing for any other value."""
    if not _is(value, name):
        return ()
    left, right = value.args
    return (left, right), (right, left)


def _gate(value: Any) -> fx.Node | None:
    """Return the value if it is a σ or a view of one, else ``None``."""
    node = value
    while isinstance(node, fx.Node) and _is(node, *_VIEWS):
        node = node.args[0]
    return value if isinstance(node, fx.Node) and _is(node, "sigmoid") else None


def _is(node: Any, *names: str) -> bool:
    primitive = primitive_of(node) if isinstance(node, fx.Node) else None
    return primitive is not None and primitive.name in names
