"""Refuses a model whose output for a sample depends on the other samples of the batch, as batch statistics do."""

from collections.abc import Sequence

import torch
from torch import Tensor, fx

from nalu_export.errors import InputError
from nalu_export.graph.capture import ModelGraph
from nalu_export.graph.constants import parameter_nodes
from nalu_export.graph.evaluation import Values, result_nodes, run
from nalu_export.graph.example import widened
from nalu_export.graph.randomness import called

# Largest relative difference that roundings in float64, and in float32, may cause, amplified by an exponential.
SAME, SAME_SINGLE = 1e-6, 1e-2
# Number of runs with differently rounded inputs.
ROUNDINGS = 8


def refuse_mixing(graph: ModelGraph) -> None:
    """Run the same samples in another batch and compare the results.

    Raises:
        InputError: the results differ; the message names the call and the user's line.
    """
    try:
        found = _mixing(graph.flat_in_double, widened(graph.example), SAME)
    except RuntimeError:  # the model creates float32 tensors of its own
        found = _mixing(graph.flat, graph.example, SAME_SINGLE)
    if found:
        raise InputError(f"{type(graph.module).__name__} does not treat each sample separately: {found}")


def _mixing(flat: fx.GraphModule, inputs: Sequence[Tensor], share: float) -> str:
    """Return a message about the first call whose result for a sample depends on other samples; empty if none does."""
    samples = len(inputs[0])
    together = run(flat, *inputs)
    # Shift the samples by one place and change the first, so that results that depend on the place differ too.
    moved = run(flat, *map(_moved, inputs))
    results = [node for node in result_nodes(flat.graph) if together[node].shape[:1] == (samples,)]
    for result in results:
        here, there = together[result], moved[result]
        if not _same(here[1:], there[:-1], share) and not _by_rounding(flat, result, inputs, share):
            # Look at data only: a parameter may happen to have as many rows as there are samples.
            data = set(flat.graph.nodes) - set(parameter_nodes(flat.graph))
            rows, others = _rows(together, data, samples, slice(1, None)), _rows(moved, data, samples, slice(0, -1))
            node = next((node for node in rows if node in others and not _same(rows[node], others[node], share)), None)
            what = "something in its forward" if node is None else called(flat, node)
            return (
                f"{what} mixes the samples of a batch; in eval() the output of a sample must not depend on the others, "
                "so a normalisation has to use running statistics"
            )
    alone = run(flat, *(x[:1] for x in inputs))
    for result in results:
        here, one = together[result][:1], alone[result]
        constant = one.shape == together[result].shape and _same(together[result], one, share)
        if not (constant or _same(here, one, share) or _by_rounding(flat, result, inputs, share)):
            return "a sample gives a different output alone than in a batch"
    return ""


def _by_rounding(flat: fx.GraphModule, result: fx.Node, inputs: Sequence[Tensor], share: float) -> bool:
    """Return whether roundings of the inputs change a result, as they change the position of a maximum with ties."""
    rng = torch.Generator().manual_seed(0)

    def rounded(x: Tensor) -> Tensor:
        if not x.is_floating_point():
            return x
        return x * (1.0 + torch.finfo(x.dtype).eps * (torch.randint(0, 5, x.shape, generator=rng) - 2))

    first, *others = (run(flat, *map(rounded, inputs))[result] for _ in range(ROUNDINGS))
    return any(not _same(first, other, share) for other in others)


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
