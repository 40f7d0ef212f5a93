"""Arithmetic subgraphs in float64 on inputs like those of training, and on the thousandfold of them."""

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from nalu_export.doctor.subject import Head
from nalu_export.graph.evaluation import Values
from nalu_export.graph.places import Call

SAMPLES = 256
# Numbers that go in at once: an image of features is judged on fewer samples.
NUMBERS = 2**20
BEYOND = 1000.0


@dataclass(frozen=True)
class Run:
    """What went through a subgraph.

    Attributes:
        values: of every node.
        result: what it gave, ``(samples, features)``; of several results side by side.
    """

    values: Values
    result: Tensor


@dataclass(frozen=True)
class Runs:
    """A subgraph on inputs like those of training and on the thousandfold of them.

    Attributes:
        near: on the former.
        far: on the latter.
    """

    near: Run
    far: Run


def run_head(head: Head, inputs: tuple[float, float]) -> Runs | None:
    """The subgraph on seeded inputs uniform in a range; ``None`` where it does not run on them."""
    numbers = sum(torch.Size(spec.shape[1:]).numel() for spec in head.form.inputs)
    samples = max(1, min(SAMPLES, NUMBERS // max(numbers, 1)))
    specs = enumerate(head.form.inputs)
    given = [spec.drawn(torch.Generator().manual_seed(place), *inputs, samples) for place, spec in specs]
    try:
        return Runs(_run(head, given), _run(head, [BEYOND * x if x.is_floating_point() else x for x in given]))
    except RuntimeError:  # it makes float32 tensors of its own, or takes the batch that it was captured with alone
        return None


def _run(head: Head, given: list[Tensor]) -> Run:
    values = head.form.run(*given)
    return Run(values, flattened(tuple(values[node] for node in _results(head, None))))


def flattened(results: tuple[Tensor, ...]) -> Tensor:
    """Results side by side, one row for each place that is not of the last axis."""
    rows = [value.reshape(-1, value.shape[-1]) if value.ndim else value.reshape(1, 1) for value in results]
    if len({len(value) for value in rows}) == 1:
        return torch.cat(rows, dim=1)
    return torch.cat([value.reshape(1, -1) for value in rows], dim=1)


def rerun(head: Head, run: Run, instead: Values, call: Call | None = None) -> Tensor:
    """What a layer, or all of the subgraph, gives with other values in place of some constants.

    Args:
        head: the subgraph.
        run: where inputs are taken from.
        instead: other values, by node.
        call: the layer, ``None`` for all.
    """
    form, wanted = head.form, _results(head, call)
    # Of a model of many layers, each is computed again alone.
    inside = form.graph.nodes if call is None else form.inside(call)
    known = {
        source: run.values[source]
        for node in inside
        for source in node.all_input_nodes
        if not form.is_constant(source) and (source.op == "placeholder" or (call is not None and source not in inside))
    }
    values = form.resume(known, form.between(wanted, {**known, **instead}), instead)
    return flattened(tuple(values[node] for node in wanted))


def _results(head: Head, call: Call | None) -> list[fx.Node]:
    """What of a layer something outside of it reads; of the whole subgraph its results."""
    if call is None:
        return head.form.graph.output_node().all_input_nodes
    return [node for node in head.form.results_of(call) if not head.form.is_constant(node)]


def given_by(head: Head, run: Run, call: Call) -> Tensor:
    """What a layer gave."""
    return flattened(tuple(run.values[node] for node in _results(head, call)))


def span(inputs: tuple[float, float], factor: float = 1.0) -> str:
    """A range as the texts have it: ``"0.1..1"``."""
    return "..".join(f"{factor * edge:g}" for edge in inputs)
