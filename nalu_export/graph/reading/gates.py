"""Finds gates: σ of what depends on the input, or of parameters alone, that weighs a sum against a product."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from torch import Tensor, fx

from nalu_export.graph.places import Call
from nalu_export.graph.reading._nodes import (
    EXPONENTIALS,
    PIECES,
    SUMS,
    VIEWS,
    is_,
    layer_of,
    readers,
    seen_through,
    spelled,
)
from nalu_export.graph.reading.form import Form
from nalu_export.graph.reading.products import Source, products_of, source_of

_COMPARISONS = ("gt", "ge", "lt", "le")
# x·σ(x) is no gate.
_ACTIVATIONS = ("silu", "gelu", "mish", "hardswish")
_LOGARITHMS_OF_SIGMOID = ("logsigmoid", "log_sigmoid", "log_sigmoid_forward")


@dataclass(frozen=True)
class Share:
    """How much of one path a gate lets through, 0 to 1.

    Attributes:
        node: that computes it.
        rest: whether it is 1 minus that: what a condition leaves.
    """

    node: fx.Node
    rest: bool = False

    def of(self, value: Tensor) -> Tensor:
        """The share, from the value of the node."""
        share = value.double()
        return 1.0 - share if self.rest else share


@dataclass(frozen=True)
class Gate:
    """One gate.

    Attributes:
        call: the layer that it is in.
        sum: its share of the sum, ``None`` where it weighs none or it is not told.
        product: its share of the product, of what goes through exp, prod or a power.
        others: the shares of what is neither, or is not told.
        source: what it is a function of; ``None`` for one that depends on parameters alone.
        two: whether the product has a gate of its own.
        hard: whether it chooses one of both and nothing between.
    """

    call: Call
    sum: Share | None
    product: Share | None
    others: tuple[Share, ...] = ()
    source: Source | None = None
    two: bool = False
    hard: bool = False

    @property
    def shares(self) -> tuple[Share, ...]:
        """All of them."""
        return tuple(share for share in (self.sum, self.product, *self.others) if share is not None)

    @property
    def own(self) -> set[fx.Node]:
        """Constants that are of the gate and of nothing else."""
        if self.source is None:
            return {share.node for share in self.shares}
        return {product.constant for product in self.source.products}


@dataclass
class _Weighed:
    """What one σ weighs, and what the other share of the same does.

    ``argument`` is what σ is of without its sign; places are by sign.
    """

    argument: object
    shares: dict[bool, Share] = field(default_factory=dict)
    paths: dict[bool, set[str]] = field(default_factory=dict)
    call: Call | None = None
    hard: bool = False


def gates(form: Form) -> list[Gate]:
    """All gates, in order of computation."""
    found: dict[object, _Weighed] = {}
    for node in form.graph.nodes:
        for argument, sign, share, paths, hard in _weighing(form, node):
            entry = found.setdefault((argument, hard), _Weighed(argument))
            entry.shares.setdefault(sign, share)
            entry.paths.setdefault(sign, set()).update(paths)
            entry.call, entry.hard = entry.call or layer_of(share.node), hard
    kept = [entry for entry in found.values() if not _is_weight(form, entry)]
    return list(_paired([_gate(form, entry) for entry in kept]))


def _weighing(form: Form, node: fx.Node) -> Iterator[tuple[object, bool, Share, set[str], bool]]:
    """Of a node that is a share: the argument of its σ, its sign, the share, what it weighs, whether it is a condition."""
    logistic = None if spelled(node) in _ACTIVATIONS else _logistic(form, node)
    if logistic is not None:
        argument, sign = logistic
        paths = {path for user in readers(node) for path in _path_by(form, node, user)}
        if paths:
            yield argument, sign, Share(node), paths, False
    elif is_(node, *_COMPARISONS) and not form.is_constant(node):
        for user in readers(node):
            if is_(user, "where") and seen_through(user.args[0]) is node:  # type: ignore[arg-type]
                paths = [_path(form, branch) for branch in user.args[1:]]
                if set(paths) == {"sum", "product"}:
                    yield node, True, Share(node), {paths[0]}, True
                    yield node, False, Share(node, rest=True), {paths[1]}, True


def _path_by(form: Form, node: fx.Node, user: fx.Node) -> Iterator[str]:
    """What a share weighs by one product."""
    if is_(user, "mul"):
        left, right = (seen_through(argument) if isinstance(argument, fx.Node) else argument for argument in user.args)
        if left is node and right is not node:
            yield from _told(form, right)
        elif right is node and left is not node:
            yield from _told(form, left)


def _told(form: Form, operand: object) -> Iterator[str]:
    if isinstance(operand, fx.Node) and not form.is_constant(operand):
        yield _path(form, operand)


def _logistic(form: Form, node: fx.Node) -> tuple[object, bool] | None:
    """``(z, sign)`` of ``σ(z)`` and ``σ(−z)``, also written as ``1/(1 + exp(−z))`` and ``exp(logsigmoid(z))``."""
    if is_(node, "sigmoid"):
        return _signed(node.args[0])
    if is_(node, "div") and node.args[0] == 1 and is_(node.args[1], "add"):
        one, power = _ordered(node.args[1])  # type: ignore[arg-type]
        if one == 1 and is_(power, "exp"):
            argument, sign = _signed(power.args[0])  # type: ignore[union-attr]
            return argument, not sign
    if is_(node, "exp") and isinstance(node.args[0], fx.Node) and spelled(node.args[0]) in _LOGARITHMS_OF_SIGMOID:
        inner = _before_spelling(form, node.args[0])
        return None if inner is None else _signed(inner)
    return None


def _ordered(addition: fx.Node) -> tuple[object, object]:
    """The terms of a sum, a number first."""
    left, right = addition.args
    return (right, left) if isinstance(left, fx.Node) else (left, right)


def _signed(argument: object) -> tuple[object, bool]:
    """An argument without its sign; ``a − b`` and ``b − a`` are one."""
    sign = True
    node = seen_through(argument) if isinstance(argument, fx.Node) else argument
    while is_(node, "neg"):
        node, sign = seen_through(node.args[0]), not sign  # type: ignore[union-attr, arg-type]
    if is_(node, "sub") and all(isinstance(argument, fx.Node) for argument in node.args):  # type: ignore[union-attr]
        left, right = (seen_through(argument) for argument in node.args)  # type: ignore[union-attr, arg-type]
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


# What a path is made of besides what tells it: products of data go on, a sum of products of data with weights ends.
_ON = (*VIEWS, *PIECES, *SUMS, "mul", "div", "neg", "clamp", "sqrt", "where", "maximum", "minimum")


def _path(form: Form, operand: object) -> str:
    """``"product"`` for what goes through exp, prod or a power on the way from the last matrix product, else ``"sum"``."""
    if not isinstance(operand, fx.Node):
        return "sum"
    waiting, seen = [operand], set[fx.Node]()
    while waiting:
        node = waiting.pop()
        if node in seen or form.is_constant(node):
            continue
        seen.add(node)
        if is_(node, *EXPONENTIALS, "prod") or (is_(node, "pow") and isinstance(node.args[1], fx.Node)):
            return "product"
        if is_(node, *_ON) and not products_of(form, node):
            waiting += form.data(node)
    return "sum"


def _is_weight(form: Form, entry: _Weighed) -> bool:
    """Whether a σ of parameters is a weight, as in ``x·σ(w)``: it has no other share, and there are several of it."""
    share = next(iter(entry.shares.values()))
    return form.is_constant(share.node) and len(entry.shares) == 1 and form.value(share.node).numel() > 1


def _gate(form: Form, entry: _Weighed) -> Gate:
    assert entry.call is not None
    by_path: dict[str, list[Share]] = {"sum": [], "product": []}
    others: list[Share] = []
    for sign, share in entry.shares.items():
        (by_path[next(iter(entry.paths[sign]))] if len(entry.paths[sign]) == 1 else others).append(share)
    for name, shares in by_path.items():
        if len(shares) > 1:  # both sides are sums: an update of a state, for example
            others, by_path[name] = [*others, *shares], []
    node = next(iter(entry.shares.values())).node
    source = None if form.is_constant(node) else source_of(form, _argument(form, node))
    return Gate(
        entry.call,
        next(iter(by_path["sum"]), None),
        next(iter(by_path["product"]), None),
        tuple(others),
        source,
        hard=entry.hard,
    )


def _argument(form: Form, node: fx.Node) -> fx.Node:
    """What a share is a function of: ``z``."""
    if is_(node, *_COMPARISONS):
        inner = next(
            argument for argument in node.args if isinstance(argument, fx.Node) and not form.is_constant(argument)
        )
        return _argument(form, inner) if _logistic(form, inner) is not None else inner
    logistic = _logistic(form, node)
    assert logistic is not None
    if is_(node, "sigmoid"):
        return node.args[0]  # type: ignore[return-value]
    return logistic[0] if isinstance(logistic[0], fx.Node) else form.data(node)[0]


def _paired(found: list[Gate]) -> Iterator[Gate]:
    """A gate of the sum and one of the product of the same call are the two gates of a layer."""
    waiting = list(found)
    while waiting:
        gate = waiting.pop(0)
        partner = None
        if (gate.sum is None) != (gate.product is None) and not gate.others:
            partner = next((other for other in waiting if _completes(gate, other)), None)
        if partner is None:
            yield gate
            continue
        waiting.remove(partner)
        yield replace(
            gate,
            sum=gate.sum or partner.sum,
            product=gate.product or partner.product,
            source=_both(gate.source, partner.source),
            two=True,
        )


def _both(one: Source | None, other: Source | None) -> Source | None:
    if one is None or other is None:
        return one or other
    return Source(tuple(dict.fromkeys((*one.data, *other.data))), (*one.products, *other.products))


def _completes(gate: Gate, other: Gate) -> bool:
    same = gate.call[:2] == other.call[:2] and not other.others and not (gate.hard or other.hard)
    return (
        same and (gate.sum is None) == (other.sum is not None) and (gate.product is None) == (other.product is not None)
    )
