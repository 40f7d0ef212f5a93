"""Recognises σ in each of its spellings, and finds its argument."""

from torch import fx

from nalu_export.graph.reading._nodes import arguments, is_, seen_through, spelled
from nalu_export.graph.reading.form import Form

# The σ in these, as in x·σ(x), is not a gate.
_ACTIVATIONS = ("silu", "gelu", "mish", "hardswish")
_LOGARITHMS = ("logsigmoid", "log_sigmoid", "log_sigmoid_forward")


def logistic(form: Form, node: fx.Node) -> tuple[object, bool] | None:
    """Return ``(z, True)`` for ``σ(z)`` and ``(z, False)`` for ``σ(−z)``, else ``None``.

    It also recognises ``1/(1 + exp(−z))`` and ``exp(logsigmoid(z))``.
    """
    if spelled(node) in _ACTIVATIONS:
        return None
    if is_(node, "sigmoid"):
        return _signed(node.args[0])
    if is_(node, "div"):
        one, denominator = arguments(node)
        exponential = _without_one(denominator)
        if one == 1 and is_(exponential, "exp"):
            argument, sign = _signed(arguments(exponential)[0])
            return argument, not sign
    if is_(node, "exp") and isinstance(node.args[0], fx.Node) and spelled(node.args[0]) in _LOGARITHMS:
        inner = _before_spelling(form, node.args[0])
        return None if inner is None else _signed(inner)
    return None


def _without_one(node: object) -> object:
    """Return ``v`` for ``v + 1`` and ``1 + v``."""
    if not is_(node, "add"):
        return None
    left, right = arguments(node)
    return left if right == 1 else right if left == 1 else None


def _signed(argument: object) -> tuple[object, bool]:
    """Return an argument without its sign, and the sign; ``a − b`` and ``b − a`` differ only in the sign."""
    sign = True
    node = seen_through(argument) if isinstance(argument, fx.Node) else argument
    while is_(node, "neg"):
        node, sign = seen_through(arguments(node)[0]), not sign
    if is_(node, "sub") and all(isinstance(argument, fx.Node) for argument in arguments(node)):
        left, right = map(seen_through, arguments(node))
        if left.name > right.name:
            return (right, left), not sign
        return (left, right), sign
    return node, sign


def _before_spelling(form: Form, node: fx.Node) -> fx.Node | None:
    """Return the argument of the composition that a node is part of, if it has only one."""
    name, given, waiting = spelled(node), set[fx.Node](), [node]
    while waiting:
        for argument in form.data(waiting.pop()):
            if spelled(argument) == name:
                waiting.append(argument)
            else:
                given.add(argument)
    return next(iter(given)) if len(given) == 1 else None
