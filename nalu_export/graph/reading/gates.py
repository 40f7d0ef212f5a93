"""Finds gates: factors σ(z) on a sum or a product of the inputs; z depends on the input or on parameters alone.

A gate multiplies each path, the sum and the product, by a share between 0 and 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor, fx

from nalu_export.graph.places import Call
from nalu_export.graph.reading._logistic import logistic
from nalu_export.graph.reading._nodes import (
    EXPONENTIALS,
    PIECES,
    SUMS,
    VIEWS,
    is_,
    layer_of,
    readers,
    seen_through,
    without_views,
)
from nalu_export.graph.reading.form import Form
from nalu_export.graph.reading.products import Source, products_of, source_of

_COMPARISONS = ("gt", "ge", "lt", "le")


@dataclass(frozen=True)
class Share:
    """The factor, 0 to 1, by which a gate multiplies one path.

    Attributes:
        node: the node that multiplies the path, or the condition that chooses it.
        rest: whether the share is 1 minus the value of the node: the path of a condition that is false.
    """

    node: fx.Node
    rest: bool = False

    def of(self, value: Tensor) -> Tensor:
        """Return the share for a value of the node."""
        share = value.double()
        return 1.0 - share if self.rest else share


@dataclass(frozen=True)
class Gate:
    """One gate.

    Attributes:
        call: the layer that contains it.
        sum: its share of the sum, ``None`` if it multiplies no sum or the paths cannot be told apart.
        product: its share of the product, the path through exp, prod or a power; ``None`` likewise.
        others: the shares of paths that cannot be told apart.
        source: the affine function of data that ``z`` is; ``None`` if the gate depends on parameters alone.
        two: whether the product has its own gate.
        hard: whether it is a condition, which chooses one path entirely.
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
        """All shares."""
        return tuple(share for share in (self.sum, self.product, *self.others) if share is not None)

    @property
    def own(self) -> set[fx.Node]:
        """Constants that belong to the gate alone, so they are no weights."""
        if self.source is None:
            return {without_views(share.node) for share in self.shares}
        return {product.constant for product in self.source.products}


@dataclass(frozen=True)
class _Use:
    """One place where a share multiplies a path.

    Attributes:
        key: the argument of σ without its sign, or the condition; uses with one key belong to one gate.
        sign: whether the argument has a positive sign.
        share: the share.
        origin: the node of the σ, or of the condition.
        path: the path that it multiplies, ``"sum"`` or ``"product"``.
        hard: whether it is a condition.
    """

    key: object
    sign: bool
    share: Share
    origin: fx.Node
    path: str
    hard: bool = False


def gates(form: Form) -> list[Gate]:
    """Return all gates, in order of computation."""
    found: dict[object, list[_Use]] = {}
    for node in form.graph.nodes:
        for use in (*_factors(form, node), *_conditions(form, node)):
            found.setdefault(use.key, []).append(use)
    return list(_paired([_gate(form, uses) for uses in found.values() if not _is_weight(form, uses)]))


def _factors(form: Form, node: fx.Node) -> Iterator[_Use]:
    """Yield the places where the σ at a node multiplies data."""
    argument = logistic(form, node)
    if argument is None:
        return
    for user in readers(node):
        left, right = user.args if is_(user, "mul") else (None, None)
        for own, other in ((left, right), (right, left)):
            if _shows(own, node) and isinstance(other, fx.Node) and not form.is_constant(other) and own is not other:
                yield _Use(*argument, Share(own), node, _path(form, other))  # type: ignore[arg-type]


def _conditions(form: Form, node: fx.Node) -> Iterator[_Use]:
    """Yield the places where the comparison at a node chooses between a sum and a product."""
    if not is_(node, *_COMPARISONS) or form.is_constant(node):
        return
    for user in readers(node):
        if is_(user, "where") and _shows(user.args[0], node):
            paths = [_path(form, branch) for branch in user.args[1:]]
            if set(paths) == {"sum", "product"}:
                for first, path in zip((True, False), paths, strict=True):
                    yield _Use(node, first, Share(user.args[0], rest=not first), node, path, hard=True)  # type: ignore[arg-type]


def _shows(argument: object, node: fx.Node) -> bool:
    return isinstance(argument, fx.Node) and seen_through(argument) is node


# Primitives that a path continues through. A product of data with a constant, such as a matrix product, ends it.
_ON = (*VIEWS, *PIECES, *SUMS, "mul", "div", "neg", "clamp", "sqrt", "where", "maximum", "minimum")


def _path(form: Form, operand: object) -> str:
    """Return ``"product"`` if exp, prod or a power is between ``operand`` and the last matrix product; or ``"sum"``."""
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


def _is_weight(form: Form, uses: list[_Use]) -> bool:
    """Return whether a σ of parameters is a weight, as in ``x·σ(w)``: it has several numbers and only one share."""
    origin = uses[0].origin
    return form.is_constant(origin) and len({use.sign for use in uses}) == 1 and form.value(origin).numel() > 1


def _gate(form: Form, uses: list[_Use]) -> Gate:
    paths: dict[bool, set[str]] = {}
    shares: dict[bool, Share] = {}
    for use in uses:
        paths.setdefault(use.sign, set()).add(use.path)
        shares.setdefault(use.sign, use.share)
    told = {sign: next(iter(found)) for sign, found in paths.items() if len(found) == 1}
    # Both shares multiply the same kind of path, as in the update of a state: the paths cannot be told apart.
    if len(set(told.values())) < len(told):
        told = {}
    by_path = {path: shares[sign] for sign, path in told.items()}
    origin = uses[0].origin
    return Gate(
        layer_of(origin),
        by_path.get("sum"),
        by_path.get("product"),
        tuple(share for sign, share in shares.items() if sign not in told),
        None if form.is_constant(origin) else source_of(form, _argument(form, origin)),
        hard=uses[0].hard,
    )


def _argument(form: Form, origin: fx.Node) -> fx.Node:
    """Return the argument ``z`` of a σ or of a condition."""
    if is_(origin, *_COMPARISONS):
        (inner,) = form.data(origin)[:1]
        return _argument(form, inner) if logistic(form, inner) is not None else inner
    if is_(origin, "sigmoid"):
        return origin.args[0]  # type: ignore[return-value]
    found = logistic(form, origin)
    return found[0] if found is not None and isinstance(found[0], fx.Node) else form.data(origin)[0]


def _paired(found: list[Gate]) -> Iterator[Gate]:
    """Merge a gate of the sum and a gate of the product in the same call into one gate with ``two`` set."""
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
