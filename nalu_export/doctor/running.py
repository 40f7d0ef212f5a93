"""Runs arithmetic subgraphs in float64 on training-like inputs, and on 1000 times those inputs."""

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from nalu_export.doctor.subject import Head
from nalu_export.graph.evaluation import Values
from nalu_export.graph.places import Call

SAMPLES = 256
# Numbers that run at once: an image of features is judged on fewer samples.
NUMBERS = 2**20
BEYOND = 1000.0


@dataclass(frozen=True)
class Run:
    """One run of a subgraph.

    Attributes:
        values: values of every node.
        result: its result, ``(samples, features)``; several results are side by side.
    """

    values: Values
    result: Tensor


@dataclass(frozen=True)
class Runs:
    """Two runs of a subgraph.

    Attributes:
        near: on training-like inputs.
        far: on 1000 times those inputs.
    """

    near: Run
    far: Run


def run_subgraph(head: Head, inputs: tuple[float, float]) -> Runs | None:
    """Run the subgraph on seeded inputs, uniform in a range; ``None`` if it does not run on them."""
    numbers = sum(torch.Size(spec.shape[1:]).numel() for spec in head.form.inputs)
    samples = max(1, min(SAMPLES, NUMBERS // max(numbers, 1)))
    specs = enumerate(head.form.inputs)
    given = [spec.drawn(torch.Generator().manual_seed(place), *inputs, samples) for place, spec in specs]
    try:
        return Runs(_run(head, given), _run(head, [BEYOND * x if x.is_floating_point() else x for x in given]))
    except RuntimeError:  # it makes float32 tensors, or runs only with the batch size of its capture
        return None


def _run(head: Head, given: list[Tensor]) -> Run:
    values = head.form.run(*given)
    return Run(values, flattened(tuple(values[node] for node in _results(head, None))))


def flattened(results: tuple[Tensor, ...]) -> Tensor:
    """Join results side by side, with one row for each position outside the last axis."""
    rows = [value.reshape(-1, value.shape[-1]) if value.ndim else value.reshape(1, 1) for value in results]
    if len({len(value) for value in rows}) == 1:
        return torch.cat(rows, dim=1)
    return torch.cat([value.reshape(1, -1) for value in rows], dim=1)


def rerun(head: Head, run: Run, instead: Values, call: Call | None = None) -> Tensor:
    """Return the result of a layer, or of the whole subgraph, with some constants replaced.

    Args:
        head: the subgraph.
        run: the run that supplies the inputs.
        instead: the new values, by node.
        call: the layer, ``None`` for the whole subgraph.
    """
    form, wanted = head.form, _results(head, call)
    # In a model of many layers, only the given layer is computed again.
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
    """Return the nodes of a layer that nodes outside of it read; for the whole subgraph its results."""
    if call is None:
        return head.form.graph.output_node().all_input_nodes
    return [node for node in head.form.results_of(call) if not head.form.is_constant(node)]


def given_by(head: Head, run: Run, call: Call) -> Tensor:
    """Return the result of a layer in a run."""
    return flattened(tuple(run.values[node] for node in _results(head, call)))


def span(inputs: tuple[float, float], factor: float = 1.0) -> str:
    """Return a range as it appears in texts: ``"0.1..1"``."""
    return "..".join(f"{factor * edge:g}" for edge in inputs)
