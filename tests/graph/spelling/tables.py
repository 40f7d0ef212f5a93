"""Tables of calls in one module, brought to primitives both ways and held against the module."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.graph import primitive_of
from nalu_export.graph.capture import How
from nalu_export.graph.evaluation import run
from nalu_export.graph.example import Example
from nalu_export.graph.exported import exported
from nalu_export.graph.spelling import canonicalise
from nalu_export.graph.spelling.describe import spelling_of
from nalu_export.graph.tracing import traced
from nalu_export.modules.copying import copied

HOWS: tuple[How, ...] = ("torch.fx", "torch.export")
Call = Callable[[Tensor, "Table"], Any]
Calls = Mapping[str, Call]


class Table(nn.Module):
    """Every call of a table of the same input; ``p.w`` and the like are parameters."""

    w: nn.Parameter
    m: nn.Parameter
    v: nn.Parameter
    b: nn.Parameter
    one: nn.Parameter
    eps: Tensor

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self.calls = dict(calls)
        rng = torch.Generator().manual_seed(0)
        for name, shape in {"w": (2, 3), "m": (3, 2), "v": (3,), "b": (2,), "one": (1,)}.items():
            self.register_parameter(name, nn.Parameter(torch.rand(shape, generator=rng) + 0.5))
        self.register_buffer("eps", torch.tensor(1e-7))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(call(x, self) for call in self.calls.values())


@dataclass(frozen=True)
class Found:
    """What became of one call.

    Attributes:
        data: names of the primitives that compute with data, in order.
        constant: names of those that compute with parameters alone.
        opaque: calls that are no primitives, as a person writes them.
    """

    data: tuple[str, ...]
    constant: tuple[str, ...]
    opaque: tuple[str, ...]


def brought(table: Table, example: Tensor, how: How) -> fx.GraphModule:
    """The table as a flat graph."""
    work, call = copied(table), Example.of(example)
    flat = traced(work, call) if how == "torch.fx" else exported(work, call)
    canonicalise(flat, run(flat, example))
    return flat


def found_in(flat: fx.GraphModule, result: fx.Node) -> Found:
    """What one result is computed with."""
    needed, waiting = set[fx.Node](), [result]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    reads_data: set[fx.Node] = set()
    data: list[str] = []
    constant: list[str] = []
    opaque: list[str] = []
    for node in flat.graph.nodes:
        if node not in needed:
            continue
        if node.op == "placeholder" or any(argument in reads_data for argument in node.all_input_nodes):
            reads_data.add(node)
        if node.op.startswith("call_"):
            primitive = primitive_of(node)
            if primitive is None:
                opaque.append(spelling_of(node))
            else:
                (data if node in reads_data else constant).append(primitive.name)
    return Found(tuple(data), tuple(constant), tuple(opaque))


def check(calls: Calls, shape: tuple[int, ...], how: How, *, single: bool = False) -> dict[str, Found]:
    """What became of each call, which computes what the call does in batches of every size.

    Args:
        calls: of a tensor ``(batch, *shape)`` of numbers of both signs, none of them 0.
        shape: of one sample.
        how: captures the table.
        single: compare in float32, where the calls name that type.
    """
    table = Table(calls).eval()
    rng = torch.Generator().manual_seed(1)

    def batch(samples: int) -> Tensor:
        x = torch.rand((samples, *shape), generator=rng) + 0.25
        return x * (torch.randint(0, 2, x.shape, generator=rng) * 2 - 1)

    flat = brought(table, batch(3), how)
    dtype = torch.float32 if single else torch.float64
    exact, graph = copied(table).to(dtype), copied(flat).to(dtype)
    for samples in (3, 5, 1):
        x = batch(samples).to(dtype)
        with torch.no_grad():
            expected = exact(x)
        results = _all(run(graph, x)[graph.graph.output_node()])
        for name, want, have in zip(calls, expected, results, strict=True):
            message = f"{name} by {how} in a batch of {samples}"
            torch.testing.assert_close(
                have, want, rtol=1e-6 if single else 1e-13, atol=1e-300, equal_nan=True, msg=message
            )
    nodes = _all(flat.graph.output_node().args[0])
    return {name: found_in(flat, node) for name, node in zip(calls, nodes, strict=True)}


def _all(results: Any) -> tuple[Any, ...]:
    """A graph of torch.export gives one result alone."""
    return tuple(results) if isinstance(results, (tuple, list)) else (results,)


def check_all(calls: Calls, shape: tuple[int, ...], *, single: bool = False) -> dict[str, Found]:
    """The same by both ways: every call is primitives, and the same ones either way. What they are."""
    found = {how: check(calls, shape, how, single=single) for how in HOWS}
    for how in HOWS:
        opaque = {name: of.opaque for name, of in found[how].items() if of.opaque}
        assert not opaque, f"{how}: {opaque}"
    by_fx, by_export = ({name: of.data for name, of in found[how].items()} for how in HOWS)
    others = {name: (by_fx[name], by_export[name]) for name in calls if by_fx[name] != by_export[name]}
    assert not others, f"torch.fx and torch.export differ: {others}"
    return found[HOWS[0]]


def check_none(calls: Calls, shape: tuple[int, ...]) -> None:
    """Each of them stays as it is."""
    for name, found in check(calls, shape, "torch.fx").items():
        assert found.opaque, f"{name} became {found.data}"
