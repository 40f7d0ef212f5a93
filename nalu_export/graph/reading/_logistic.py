"""What is a σ, however it is spelled, and what it is of."""

from torch import fx

from nalu_export.graph.reading._nodes import arguments, is_, seen_through, spelled
from nalu_export.graph.reading.form import Form

# x·σ(x) is no gate.
_ACTIVATIONS = ("silu", "gelu", "mish", "hardswish")
_LOGARITHMS = ("logsigmoid", "log_sigmoid", "log_sigmoid_forward")


def logistic(form: Form, node: fx.Node) -> tuple[object, bool] | None:
    """``(z, sign)`` of ``σ(z)`` and ``σ(−z)``, also written as ``1/(1 + exp(−z))`` and ``exp(logsigmoid(z))``."""
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
    """``v`` of ``v + 1`` and ``1 + v``."""
    if not is_(node, "add"):
        return None
    left, right = arguments(node)
    return left if right == 1 else right if left == 1 else None


def _signed(argument: object) -> tuple[object, bool]:
    """An argument without its sign; ``a − b`` and ``b − a`` are one."""
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
    """The one value that a composition was given."""
    name, given, waiting = spelled(node), set[fx.Node](), [node]
    while waiting:
        for argument in form.data(waiting.pop()):
            if spelled(argument) == name:
                waiting.append(argument)
            else:
                given.add(argument)
    return next(iter(given)) if len(given) == 1 else None
