"""Small graphs of every primitive, each a part of one graph: a header of all of them is compiled once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.graph.folding import Compute
from nalu_export.primitives import PRIMITIVES

FEATURES = 12
Node = fx.Node


class Drawing:
    """A graph of primitives that is drawn node by node.

    Args:
        compute: type of its constants and of all it computes.
        features: of its input.
    """

    def __init__(self, compute: Compute = "float32") -> None:
        self.dtype = torch.float64 if compute == "float64" else torch.float32
        self.graph, self.root = fx.Graph(), nn.Module()
        self.x = self.graph.placeholder("x")
        if compute == "float64":
            self.x = self("cast", self.x, torch.float64)

    def __call__(self, name: str, *arguments: Any) -> Node:
        """A node of a primitive."""
        bound = PRIMITIVES[name].bind(arguments, {})
        assert bound is not None, name
        return self.graph.call_function(PRIMITIVES[name].function, bound)

    def constant(self, value: Tensor | list[Any]) -> Node:
        """A node of a constant; a mask stays one."""
        value = torch.as_tensor(value)
        name = f"c{len(list(self.root.buffers()))}"
        self.root.register_buffer(name, value if value.dtype == torch.bool else value.to(self.dtype))
        return self.graph.get_attr(name)

    def random(self, *shape: int) -> Node:
        """A constant of any numbers, each time the same."""
        generator = torch.Generator().manual_seed(len(list(self.root.buffers())))
        return self.constant(torch.randn(shape, generator=generator))

    def given(self, name: str) -> Node:
        """Another input."""
        return self.graph.placeholder(name)

    def giving(self, *results: Node) -> fx.GraphModule:
        """The graph that gives its results as they are."""
        self.graph.output(results[0] if len(results) == 1 else results)
        self.graph.eliminate_dead_code()
        form = fx.GraphModule(self.root, self.graph)
        form.graph.lint()
        return form

    def done(self, *results: Node) -> fx.GraphModule:
        """The graph that gives its results one after the other."""
        flat = [self("flatten", result, 1, -1) for result in results]
        result = flat[0] if len(flat) == 1 else self("cat", flat, 1)
        self.graph.output(self("cast", result, torch.float32) if self.dtype == torch.float64 else result)
        form = fx.GraphModule(self.root, self.graph)
        form.graph.lint()
        return form


Case = Callable[[Drawing, Node], Node]


def _block(d: Drawing, x: Node, *shape: int) -> Node:
    return d("reshape", x, [-1, *(shape or (2, 3, 2))])


def _positive(d: Drawing, x: Node) -> Node:
    return d("add", d("abs", x), 1e-3)


def _small(d: Drawing, x: Node) -> Node:
    return d("clamp", x, -20.0, 20.0)


def _finite(d: Drawing, x: Node) -> Node:
    """Nothing of it overflows, and NaN is left out, so that sums of it can be compared."""
    return d("where", d("eq", x, x), d("clamp", x, -1e3, 1e3), 0.5)


def _halves(d: Drawing, x: Node) -> tuple[Node, Node]:
    return d("slice", x, 1, 0, 6, 1), d("slice", x, 1, 6, None, 1)


def _reduced(name: str, dims: list[int]) -> Case:
    def case(d: Drawing, x: Node) -> Node:
        result = d(name, _block(d, _finite(d, x)), dims, False)
        return d("unsqueeze", result, 1) if len(dims) == 3 else result

    return case


def _compared(name: str) -> Case:
    def case(d: Drawing, x: Node) -> Node:
        a, b = _halves(d, x)
        kinds = [(a, b), (a, 0.0), (0.5, a), (a, d.constant([0.0, 1.0, -0.0, torch.inf, torch.nan, 2.0]))]
        return d("cast", d("cat", [d(name, *pair) for pair in kinds], 1), d.dtype)

    return case


def _logic(name: str) -> Case:
    def case(d: Drawing, x: Node) -> Node:
        a, b = _halves(d, x)
        # Numbers as well, of which all but 0 are true.
        found = [d(name, d("gt", a, 0.0), d("lt", b, 1.0)), d(name, d("trunc", a), d("gt", b, 0.0))]
        return d("where", d("stack", found, 1), d("stack", [a, b], 1), d.random(2, 6))

    return case


def _masks(d: Drawing, x: Node) -> Node:
    """As numbers; true + true is true."""
    a, b = d("gt", x, 0.0), d("lt", x, 1.0)
    counted = d("div", d("sum", d("logical_not", a), [1], True), 12.0)
    return d("cat", [d("mul", d("add", a, b), x), d("mul", d("mul", a, b), x), counted, d("add", a, x)], 1)


def _where(d: Drawing, x: Node) -> Node:
    mask = d("ge", x, 0.0)
    fixed = d.constant(torch.arange(12) % 3 == 0)
    return d(
        "cat", [d("where", mask, x, 0.25), d("where", mask, 1.0, d.random(12)), d("where", fixed, x, d("neg", x))], 1
    )


def _extremes(name: str) -> Case:
    def case(d: Drawing, x: Node) -> Node:
        a, b = _halves(d, x)
        return d("cat", [d(name, a, b), d(name, a, d.constant([0.25] * 5 + [torch.nan]))], 1)

    return case


def _powers(d: Drawing, x: Node) -> Node:
    a, b = _halves(d, x)
    exponents = d.constant([0.0, 1.0, -3.0, 0.3333, 2.5, 7.0])
    kinds = [d("pow", a, exponents), d("pow", 2.0, b), d("pow", d("abs", a), b), d("pow", a, d("round", b))]
    return d("cat", [*kinds, *(d("pow", a, number) for number in (2.0, 0.5, -0.5, -1.0, 3.0, 2, -2.0))], 1)


def _moved(d: Drawing, x: Node) -> Node:
    """Read across, where numbers stand in another order."""
    block = _block(d, x)
    swapped = d("transpose", block, 1, 3)
    turned = d("reshape", d("permute", block, [0, 2, 3, 1]), [-1, 12])
    return d("add", d("flatten", d("mul", swapped, swapped), 1, -1), d("exp", d("clamp", turned, -5.0, 5.0)))


def _unstrided(d: Drawing, x: Node) -> Node:
    """A part of numbers in another order that no loops lead to."""
    turned = d("flatten", d("transpose", d("reshape", x, [-1, 3, 4]), 1, 2), 1, -1)
    return d("abs", d("slice", turned, 1, 1, 8, 1))


def _sliced(d: Drawing, x: Node) -> Node:
    parts = [d("slice", x, 1, 2, 11, 3), d("slice", x, 1, -5, -1, 1), d("slice", _block(d, x), 2, 1, None, 2)]
    return d("cat", [d("flatten", d("sign", part), 1, -1) for part in parts], 1)


def _selected(d: Drawing, x: Node) -> Node:
    """One number for all, and a row of a block."""
    one, row = d("unsqueeze", d("select", x, 1, 7), 1), d("select", _block(d, x), 2, -1)
    return d("cat", [d("mul", x, one), d("abs", d("flatten", row, 1, -1))], 1)


def _expanded(d: Drawing, x: Node) -> Node:
    a, b = _halves(d, x)
    wide = d("expand", d("unsqueeze", a, -1), [-1, 6, 2])
    outer = d("mul", wide, d("unsqueeze", d("slice", b, 1, 0, 2, 1), 1))
    return d("squeeze", d("unsqueeze", outer, -1), -1)


def _rotated(d: Drawing, x: Node) -> Node:
    """Parts of one value in another order, with a sign, and a stack along the last axis."""
    a, b = _halves(d, x)
    return d("stack", [d("cat", [d("neg", b), a], 1), d("cat", [b, a], 1)], -1)


def _broadcast(d: Drawing, x: Node) -> Node:
    """Constants with fewer axes, with axes of 1, and with one for the samples."""
    block = _block(d, x)
    value = d("add", d("mul", block, d.random(3, 1)), d.random(1, 2, 1, 2))
    return d("sub", d("clamp", value, d.random(2), None), d.random(2, 3, 1))


def _products(d: Drawing, x: Node) -> Node:
    """Of data: plain, one for several, of a transpose, and long."""
    a, b = _block(d, _finite(d, x), 2, 3, 2), _block(d, _finite(d, x), 1, 2, 6)
    plain = d("matmul", a, b)
    square = d("matmul", d("transpose", a, 2, 3), a)
    row, column = _block(d, plain, 1, 36), _block(d, plain, 36, 1)
    return d("cat", [d("flatten", each, 1, -1) for each in (plain, square, d("matmul", row, column))], 1)


def _products_of_constants(d: Drawing, x: Node) -> Node:
    a = _block(d, _finite(d, x), 2, 3, 2)
    found = [
        d("matmul", a, d.random(2, 5)),
        d("matmul", a, d.random(2, 2, 17)),
        d("matmul", a, d.random(1, 2, 2, 1)),
        d("matmul", d.random(4, 3), a),
        d("matmul", d.random(3), a),
        d("matmul", a, d.random(2)),
        d("matmul", d("flatten", a, 1, -1), d.random(12, 3)),
        d("matmul", d("flatten", a, 1, -1), d.random(12)),
    ]
    flat = [d("flatten", each, 1, -1) for each in found[:-1]]
    return d("cat", [*flat, d("unsqueeze", found[-1], 1)], 1)


def _linears(d: Drawing, x: Node) -> Node:
    """Of parts, of what stands in another order, of several rows; and sums that are read more than once."""
    x = _finite(d, x)
    part = d("linear", d("slice", x, 1, 3, 9, 1), d.random(4, 6), d.random(4))
    turned = d("linear", d("flatten", d("transpose", _block(d, x, 3, 4), 1, 2), 1, -1), d.random(4, 12), None)
    rows = d("linear", d("transpose", _block(d, x, 3, 4), 1, 2), d.random(2, 3), d.random(2))
    again = d("add", part, d("linear", part, d.random(4, 4), None))
    one = d("mul", turned, d("linear", turned, d.random(1, 4), None))
    picked = d("mul", d("slice", turned, 1, 0, 4, 2), d("slice", turned, 1, 1, 4, 2))
    return d("cat", [again, one, picked, d("flatten", rows, 1, -1)], 1)


def _old(d: Drawing, x: Node) -> Node:
    a, b = _halves(d, x)
    small = _small(d, a)
    calls = [d("tanh", a), d("sinh", small), d("asinh", a), d("cos", small), d("exp", small), d("log", _positive(d, a))]
    return d("cat", [*calls, d("div", a, b), d("prod", _block(d, _small(d, x), 4, 3), 1, False)], 1)


CASES: dict[str, Case] = {
    "sqrt": lambda d, x: d("sqrt", x),
    "log1p": lambda d, x: d("log1p", x),
    "log1p near 0": lambda d, x: d("log1p", d("mul", x, 1e-12)),
    "expm1": lambda d, x: d("expm1", x),
    "expm1 near 0": lambda d, x: d("expm1", d("mul", x, 1e-12)),
    "sin": lambda d, x: d("sin", _small(d, x)),
    "erf": lambda d, x: d("erf", x),
    **{name: lambda d, x, name=name: d(name, x) for name in ("floor", "ceil", "round", "trunc")},  # type: ignore[misc]
    "powers": _powers,
    "maximum": _extremes("maximum"),
    "minimum": _extremes("minimum"),
    **{name: _compared(name) for name in ("gt", "lt", "ge", "le", "eq", "ne")},
    "logical_and": _logic("logical_and"),
    "logical_or": _logic("logical_or"),
    "masks": _masks,
    "where": _where,
    **{f"sum {dims}": _reduced("sum", dims) for dims in ([1], [2], [-1], [1, 2], [1, 3], [3, 2], [1, 2, 3])},
    **{f"{name} {dims}": _reduced(name, dims) for name in ("mean", "amax", "amin") for dims in ([2], [3, 1])},
    "sum, kept": lambda d, x: d("mul", _finite(d, x), d("sum", _finite(d, x), [1], True)),
    "moved": _moved,
    "unstrided": _unstrided,
    "sliced": _sliced,
    "selected": _selected,
    "expanded": _expanded,
    "rotated": _rotated,
    "broadcast": _broadcast,
    "products": _products,
    "products of constants": _products_of_constants,
    "linears": _linears,
    "others": _old,
}


def together(compute: Compute) -> tuple[fx.GraphModule, dict[str, slice]]:
    """All cases as one graph, and which of its outputs each has."""
    drawing = Drawing(compute)
    results = [case(drawing, drawing.x) for case in CASES.values()]
    form = drawing.done(*results)
    seen: dict[Node, Any] = {}
    for node in form.graph.nodes:
        if node.op == "placeholder":
            seen[node] = torch.ones(2, FEATURES)
        elif node.op == "get_attr":
            seen[node] = form.get_buffer(str(node.target))
        elif node.op == "call_function":
            seen[node] = node.target(*fx.node.map_arg(node.args, seen.__getitem__))
    sizes = [seen[result].flatten(1).shape[1] for result in results]
    ends = torch.tensor(sizes).cumsum(0).tolist()
    return form, {name: slice(end - size, end) for name, size, end in zip(CASES, sizes, ends, strict=True)}
