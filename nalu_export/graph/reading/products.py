"""Finds where data meets a constant, a node that depends on parameters alone: matrix products, scalings, powers."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx

from nalu_export.graph.reading._nodes import PIECES, SUMS, VIEWS, is_, without_views
from nalu_export.graph.reading.form import Form


@dataclass(frozen=True)
class Product:
    """One place where a constant multiplies data, or is its exponent.

    Attributes:
        node: the node that computes the product, or that takes its rows out of a larger product.
        data: the data.
        constant: the constant.
        read: the constant that a file holds: the same, or a larger one that contains it as rows.
        rows: first and last (exclusive) of these rows, ``None`` for all.
        turned: whether the constant has the shape (in, out), the transpose of a weight.
        bias: the bias that the same primitive adds, if any.
    """

    node: fx.Node
    data: fx.Node
    constant: fx.Node
    read: fx.Node
    rows: tuple[int, int] | None = None
    turned: bool = False
    bias: fx.Node | None = None


def products(form: Form) -> Iterator[Product]:
    """Yield every product, in order of computation."""
    for node in form.graph.nodes:
        if not form.is_constant(node):
            yield from products_of(form, node)


def products_of(form: Form, node: fx.Node) -> list[Product]:
    """Return the products that a node computes."""
    if is_(node, "linear"):
        data, weight, bias = node.args
        if form.is_constant(weight) and isinstance(data, fx.Node) and not form.is_constant(data):
            whole = Product(node, data, weight, weight, bias=bias if isinstance(bias, fx.Node) else None)  # type: ignore[arg-type]
            return _apart(form, whole) or [whole]
    elif is_(node, "matmul", "mul"):
        left, right = node.args
        for data, weight, after in ((left, right, True), (right, left, False)):
            if isinstance(data, fx.Node) and not form.is_constant(data) and form.is_constant(weight):
                turned = after if is_(node, "matmul") else _is_turned(form, data, weight)  # type: ignore[arg-type]
                return [Product(node, data, weight, weight, turned=turned)]  # type: ignore[arg-type]
    elif is_(node, "pow"):
        data, exponent = node.args
        if isinstance(data, fx.Node) and not form.is_constant(data) and form.is_constant(exponent):
            return [Product(node, data, exponent, exponent, turned=_is_turned(form, data, exponent))]  # type: ignore[arg-type]
    return []


def _is_turned(form: Form, data: fx.Node, constant: fx.Node) -> bool:
    """Return whether a matrix is (in, out): then the last axis of the data, that of the outputs, has size 1."""
    shape = form.shape(constant)
    if len(shape) != 2 or not is_(data, "unsqueeze", "reshape") or 1 in shape:
        return False
    return tuple(form.example()[data].shape[-2:]) == (shape[0], 1)


def _apart(form: Form, whole: Product) -> list[Product]:
    """Split ``x @ cat([W, G]).T`` into one product for each piece if its result is sliced accordingly; else empty."""
    joined = whole.constant
    if not is_(joined, "cat") or joined.args[1] != 0 or whole.bias is not None:
        return []
    pieces, start = {}, 0
    for piece in joined.args[0]:  # type: ignore[union-attr]
        stop = start + form.shape(piece)[0]  # type: ignore[arg-type]
        pieces[start, stop] = piece
        start = stop
    found = []
    for user in whole.node.users:
        if not is_(user, "slice"):
            return []
        _, dim, first, last, step = user.args
        rows = (first or 0, start if last is None else min(last, start))  # type: ignore[type-var]
        if dim not in (-1, len(form.inputs[0].shape) - 1 if form.inputs else -1) or step != 1 or rows not in pieces:
            return []
        found.append(Product(user, whole.data, pieces[rows], joined, rows))  # type: ignore[arg-type]
    return found


@dataclass(frozen=True)
class Source:
    """The data and the products in an affine function of data.

    Attributes:
        data: the nodes that it is a function of, without views.
        products: the products in it.
    """

    data: tuple[fx.Node, ...]
    products: tuple[Product, ...]


# Primitives of an affine function, besides products with constants.
_AFFINE = (*VIEWS, *PIECES, *SUMS, "neg", "sum", "mean", "div")


def source_of(form: Form, node: fx.Node) -> Source:
    """Trace a value back through sums and scalings to the nearest products and the data that they multiply.

    Args:
        form: the graph.
        node: the value; it depends on data.
    """
    data: dict[fx.Node, None] = {}
    found: dict[fx.Node, Product] = {}
    waiting, seen = [node], set[fx.Node]()
    while waiting:
        current = waiting.pop(0)
        if current in seen:
            continue
        seen.add(current)
        multiplied = next(iter(_products_at(form, current)), None)
        if multiplied is not None:
            found[multiplied.constant] = multiplied
            data[without_views(multiplied.data)] = None
        elif is_(current, *_AFFINE) or _is_scaling(form, current) or is_(current, "clamp"):
            waiting += form.data(current)
        else:
            data[current] = None
    return Source(tuple(data), tuple(found.values()))


def _products_at(form: Form, node: fx.Node) -> list[Product]:
    """Return the products whose result is the node; a slice may be some rows of a larger product."""
    if is_(node, "slice") and isinstance(node.args[0], fx.Node):
        inner = products_of(form, node.args[0])
        return [product for product in inner if product.node is node]
    return [product for product in products_of(form, node) if product.node is node and not is_(node, "pow")]


def _is_scaling(form: Form, node: fx.Node) -> bool:
    """Return whether a node multiplies data by a plain number, ``4·z``."""
    return is_(node, "mul") and len(form.data(node)) == 1 and not products_of(form, node)
