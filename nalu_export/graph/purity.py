"""Whether a model treats every sample alone: no file can hold one that uses statistics of the batch it is in."""

from collections.abc import Sequence

import torch
from torch import Tensor, fx

from nalu_export.errors import InputError
from nalu_export.graph.capture import ModelGraph
from nalu_export.graph.constants import parameter_nodes
from nalu_export.graph.evaluation import Values, result_nodes, run
from nalu_export.graph.example import widened
from nalu_export.graph.randomness import called

# What roundings in float64, and in float32, may change, amplified by an exponential.
SAME, SAME_SINGLE = 1e-6, 1e-2


def refuse_mixing(graph: ModelGraph) -> None:
    """Run samples of the model in another batch.

    Raises:
        InputError: they give other results there; the text names the call and the user's line.
    """
    try:
        found = _mixing(graph.flat_in_double, widened(graph.example), SAME)
    except RuntimeError:  # it makes float32 tensors of its own
        found = _mixing(graph.flat, graph.example, SAME_SINGLE)
    if found:
        raise InputError(f"{type(graph.module).__name__} is no function of each sample alone: {found}")


def _mixing(flat: fx.GraphModule, inputs: Sequence[Tensor], share: float) -> str:
    """The first call whose result for a sample depends on the others of its batch, empty where there is none."""
    samples = len(inputs[0])
    together = run(flat, *inputs)
    # The samples move one place up and the first is another one, so that what is fixed to a place shows as well.
    moved = run(flat, *map(_moved, inputs))
    alone = run(flat, *(x[:1] for x in inputs))
    for result in result_nodes(flat.graph):
        here, there, one = together[result], moved[result], alone[result]
        if here.shape[:1] != (samples,) or one.shape[:1] != (1,):  # a constant
            continue
        if not _same(here[1:], there[:-1], share):
            # A parameter may have as many rows as there are samples.
            data = set(flat.graph.nodes) - set(parameter_nodes(flat.graph))
            rows, others = _rows(together, data, samples, slice(1, None)), _rows(moved, data, samples, slice(0, -1))
            node = next((node for node in rows if node in others and not _same(rows[node], others[node], share)), None)
            what = "something in its forward" if node is None else called(flat, node)
            return f"{what} mixes the samples of a batch; in eval() it has to use running statistics instead"
        if not _same(here[:1], one, share):
            return "a batch of one sample gives another output than the same sample among others"
    return ""


def _moved(x: Tensor) -> Tensor:
    return torch.cat([x[1:], x[:1] * 1.5 + 0.25 if x.is_floating_point() else x[:1]])


def _rows(values: Values, data: set[fx.Node], samples: int, rows: slice) -> dict[fx.Node, Tensor]:
    return {
        node: value[rows]
        for node, value in values.items()
        if node in data and isinstance(value, Tensor) and value.shape[:1] == (samples,) and node.op.startswith("call_")
    }


def _same(a: Tensor, b: Tensor, share: float) -> bool:
    if a.shape != b.shape:
        return False
    if not a.is_floating_point():
        return bool((a == b).all())
    near = (a - b).abs() <= share * torch.maximum(a.abs(), b.abs()) + share**2
    return bool((near | (a == b) | (a.isnan() & b.isnan())).all())
