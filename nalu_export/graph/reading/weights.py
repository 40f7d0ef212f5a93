"""Finds effective weights: constants that multiply data, such as ``tanh(Ŵ)·σ(M̂)`` of a NAC."""

from collections.abc import Container
from dataclasses import dataclass

from torch import Tensor, fx

from nalu_export.graph.places import Call, stack_of
from nalu_export.graph.reading._nodes import (
    EXPONENTIALS,
    PIECES,
    SQUASHING,
    SUMS,
    VIEWS,
    is_,
    is_activation,
    is_torchs,
    layer_of,
    without_views,
)
from nalu_export.graph.reading.form import Form
from nalu_export.graph.reading.products import Product, products


@dataclass(frozen=True)
class Weight:
    """One effective weight.

    Attributes:
        call: the layer that multiplies by it.
        node: the node that computes it, behind views.
        product: the first product that reads it.
        sides: ``"sum"`` if it weighs a sum of data, ``"product"`` if it is an exponent or part of a product's factor.
        is_computed: whether it is computed from its parameters by more than views and slices.
    """

    call: Call
    node: fx.Node
    product: Product
    sides: frozenset[str]
    is_computed: bool

    def value(self, form: Form) -> Tensor:
        """Return it in float64, with the shape (out, in) if a matrix product reads it."""
        value = form.value(self.product.constant)
        while self.product.turned and value.ndim > 2 and value.shape[0] == 1:
            value = value[0]
        return value.mT if self.product.turned and value.ndim == 2 else value

    def shape(self, form: Form) -> tuple[int, ...]:
        """Return the shape of the value."""
        return tuple(self.value(form).shape)

    def raw(self, form: Form) -> tuple[str, str] | None:
        """Return the names of Ŵ and M̂ if it is ``tanh(Ŵ)·σ(M̂)`` of two parameters, else ``None``."""
        if not is_(self.node, "mul"):
            return None
        names: dict[str, str | None] = {}
        for argument in self.node.args:
            if is_(argument, "tanh", "sigmoid"):
                inner = without_views(argument.args[0])  # type: ignore[union-attr, arg-type]
                names["tanh" if is_(argument, "tanh") else "sigmoid"] = form.parameter(inner)
        W_hat, M_hat = names.get("tanh"), names.get("sigmoid")
        return (W_hat, M_hat) if W_hat is not None and M_hat is not None else None


def weights(form: Form, gates: Container[fx.Node]) -> list[Weight]:
    """Return all effective weights, each once, in order of computation.

    These are not effective weights: the weight of an ``nn.Linear``, of a layer with a learned bias, and of a layer
    before an activation, and the scale of a norm. They are if a function such as ``tanh`` keeps them in a range. The
    weights of gates never are.

    Args:
        form: the graph.
        gates: constants that belong to gates, see :attr:`Gate.own`.
    """
    found: dict[tuple[fx.Node, tuple[int, int] | None], Weight] = {}
    for product in products(form):
        if product.constant in gates or without_views(product.constant) in gates:
            continue
        weight = Weight(
            layer_of(product.node),
            without_views(product.constant),
            product,
            frozenset(_sides(form, product.node)),
            not _is_stored(product.constant),
        )
        if not _counts(form, weight):
            continue
        key = (weight.node, product.rows)
        first = found.setdefault(key, weight)
        if first is not weight:
            sides = first.sides | weight.sides
            found[key] = Weight(first.call, first.node, first.product, sides, first.is_computed)
    return list(found.values())


def _is_stored(constant: fx.Node) -> bool:
    """Return whether a constant is a parameter, or a part or view of one."""
    node = constant
    while is_(node, *VIEWS, "select", "slice"):
        node = node.args[0]  # type: ignore[assignment]
    return node.op == "get_attr"


def _counts(form: Form, weight: Weight) -> bool:
    product = weight.product
    if form.uses(weight.node, *SQUASHING):
        return True
    if is_torchs(stack_of(product.node)[-1]):
        return False
    if not weight.is_computed and is_(product.node, "mul") and not _is_matrix(form, product.constant):
        return False  # the scale of a norm, a temperature
    if _has_bias(form, product):
        return False
    return weight.is_computed or not _is_before_activation(product.node)


def _is_matrix(form: Form, constant: fx.Node) -> bool:
    return sum(size > 1 for size in form.shape(constant)) > 1


def _has_bias(form: Form, product: Product) -> bool:
    """Return whether other parameters are added to the product; the parameters of ``1 − W`` are those of W."""
    added = [product.bias, *(other for user in product.node.users if is_(user, *SUMS) for other in user.args)]
    own = set(form.parameters(product.constant))
    return any(
        isinstance(other, fx.Node) and form.is_constant(other) and set(form.parameters(other)) - own for other in added
    )


def _is_before_activation(node: fx.Node) -> bool:
    """Return whether only activations read the result, as in a hidden layer of a network."""
    users = list(node.users)
    return bool(users) and all(
        is_activation(user) or (is_(user, *VIEWS, "neg") and _is_before_activation(user)) for user in users
    )


# After these, a sum of logarithms is still one, and a factor is still a factor.
_ON = (*VIEWS, *PIECES, "mul", "div", "neg", "clamp", "sum")
_LOGARITHMS = ("log", "log1p", "asinh")
_TERMS = (*SUMS, "stack", "cat")


def _sides(form: Form, node: fx.Node) -> set[str]:
    """Return what the result of the product at a node becomes part of: a sum, a product or both."""
    if is_(node, "pow"):
        return {"product"}
    found: set[str] = set()
    waiting, seen = [node], set[fx.Node]()
    while waiting:
        current = waiting.pop()
        seen.add(current)
        for user in current.users:
            if is_(user, *EXPONENTIALS, *_LOGARITHMS, "prod") or (is_(user, "pow") and user.args[1] is current):
                found.add("product")
            elif is_(user, *_TERMS) or (is_(user, *_ON) and len(form.data(user)) == 1):
                waiting += [user] if user not in seen else []
            elif not is_(user, "cos", "sin"):
                found.add("sum")
    return found
