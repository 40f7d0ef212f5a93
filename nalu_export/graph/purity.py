"""Whether a model is a function of each sample alone: no file can hold one that draws numbers or mixes its batch."""

from typing import Any

import torch
from torch import Tensor, fx

from nalu_export.errors import InputError
from nalu_export.graph.capture import ModelGraph
from nalu_export.graph.copying import copied
from nalu_export.graph.evaluation import Values, run
from nalu_export.graph.spelling.describe import source_of, spelling_of

# What roundings in float64, and in float32, may change, amplified by an exponential.
SAME, SAME_SINGLE = 1e-6, 1e-2


def refuse_impure(graph: ModelGraph) -> None:
    """Run the model twice, and its samples in another batch.

    Raises:
        InputError: the results differ; the text names the call and the user's line.
    """
    x = graph.example
    model = copied(graph.module).eval()
    with torch.no_grad():
        once, again = model(x), model(x)
    if not _same(once, again):
        raise InputError(f"{_name(graph)} gives other outputs when it runs again: {_drawn(graph)}")
    found = _mixed(graph)
    if found:
        raise InputError(f"{_name(graph)} is no function of each sample alone: {found}")


def _name(graph: ModelGraph) -> str:
    return type(graph.module).__name__


def _drawn(graph: ModelGraph) -> str:
    """The first call that gives something else the second time."""
    flat = graph.flat
    first, second = run(flat, graph.example), run(flat, graph.example)
    node = next((node for node, value in first.items() if _differs(value, second[node])), None)
    if node is None:
        return "something in its forward draws random numbers; make it deterministic in eval()"
    return f"{_called(flat, node)} draws random numbers; make it deterministic in eval()"


def _mixed(graph: ModelGraph) -> str:
    """The first call whose result for a sample depends on the others of its batch, empty where there is none."""
    try:
        return _mixing(graph, copied(graph.flat).double(), graph.example.double(), SAME)
    except RuntimeError:  # it makes float32 tensors of its own
        return _mixing(graph, graph.flat, graph.example, SAME_SINGLE)


def _mixing(graph: ModelGraph, flat: fx.GraphModule, x: Tensor, share: float) -> str:
    result = flat.graph.output_node()
    together = run(flat, x)
    # The samples move one place up and the first is another one, so that what is fixed to a place shows as well.
    moved = run(flat, torch.cat([x[1:], x[:1] * 1.5 + 0.25]))
    if not _same(together[result][1:], moved[result][:-1], share):
        rows, others = _rows(together, len(x), slice(1, None)), _rows(moved, len(x), slice(0, -1))
        node = next((node for node in rows if node in others and not _same(rows[node], others[node], share)), None)
        what = "something in its forward" if node is None else _called(flat, node)
        return f"{what} mixes the samples of a batch; statistics of a batch have to be stored ones in eval()"
    if not _same(together[result][:1], run(flat, x[:1])[result], share):
        return "a batch of one sample gives another output than the same sample among others"
    return ""


def _differs(first: Any, second: Any) -> bool:
    return isinstance(first, Tensor) and isinstance(second, Tensor) and not _same(first, second)


def _rows(values: Values, samples: int, rows: slice) -> dict[fx.Node, Tensor]:
    return {
        node: value[rows]
        for node, value in values.items()
        if isinstance(value, Tensor) and value.shape[:1] == (samples,) and node.op.startswith("call_")
    }


def _same(a: Tensor, b: Tensor, share: float = 0.0) -> bool:
    if a.shape != b.shape:
        return False
    if not a.is_floating_point():
        return bool((a == b).all())
    near = (a - b).abs() <= share * torch.maximum(a.abs(), b.abs()) + share**2
    return bool((near | (a == b) | (a.isnan() & b.isnan())).all())


def _called(flat: fx.GraphModule, node: fx.Node) -> str:
    if node.op == "call_module":
        return f"{type(flat.get_submodule(str(node.target))).__name__} {node.target}{source_of(node)}"
    return f"{spelling_of(node)}{source_of(node)}"
