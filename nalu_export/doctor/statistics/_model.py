"""Layers, weights and gates of a captured model."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nalu_export.doctor.statistics._numbers import inputs_of_gate, nearness, saturation
from nalu_export.doctor.statistics._rows import row_of
from nalu_export.graph import ModelGraph
from nalu_export.graph.evaluation import Values
from nalu_export.graph.naming import free_name
from nalu_export.graph.reading import Form, Gate, Layer, Reading, read
from nalu_export.nn import ArithmeticLayer
from nalu_export.nn.layer import constructor_arguments

# Prefix of the names of gate matrices, whose entries are not meant to be −1, 0 and 1.
GATE = "gate "


def layer_table(graph: ModelGraph) -> list[dict[str, Any]]:
    """Return a plain dict for each module that computes arithmetic: path, type, sizes, ε, weights and gates.

    Layers derived from :class:`nalu_export.nn.ArithmeticLayer` have their constructor arguments too.
    """
    rows: dict[str, dict[str, Any]] = {}
    for reading, layer in layers_of(graph):
        row = row_of(reading, layer, _arguments(graph.module, layer))
        held = rows.setdefault(layer.path, row)
        if held is not row:  # two regions of one forward
            held["weights"] |= row["weights"]
            held["gates"] = held.get("gates", []) + row.get("gates", [])
            rows[layer.path] = row | held
    return list(rows.values())


def layers_of(graph: ModelGraph) -> Iterator[tuple[Reading, Layer]]:
    """Yield every module that computes arithmetic, with the subgraph that it is in, in order of computation."""
    for reading in read(graph):
        for layer in reading.layers:
            if layer.weights or layer.gates or layer.epsilons or _is_cell(graph.module, layer):
                yield reading, layer


def _is_cell(model: nn.Module, layer: Layer) -> bool:
    """Return whether it is a layer of ours, or derived from one, with parameters of its own."""
    found = _module(model, layer)
    return isinstance(found, ArithmeticLayer) and any(True for _ in found.parameters(recurse=False))


def _module(model: nn.Module, layer: Layer) -> nn.Module | None:
    try:
        found = model.get_submodule(layer.path)
    except AttributeError:
        return None
    return found if isinstance(found, layer.type) else None


def _arguments(model: nn.Module, layer: Layer) -> dict[str, Any]:
    """Return the constructor arguments that JSON can hold; the text of other objects may change each run."""
    found = _module(model, layer)
    if not isinstance(found, ArithmeticLayer):
        return {}
    arguments = constructor_arguments(found).items()
    return {name: value for name, value in arguments if isinstance(value, (bool, int, float, str, type(None)))}


def weight_statistics(graph: ModelGraph) -> dict[str, dict[str, Any]]:
    """Return, for each layer, its effective weights' distance from −1, 0 and 1 and how saturated its gates are.

    A gate is judged on seeded inputs, uniform in 0.1..1: the share of σ within 0.01 of 0 and of 1.
    """
    table: dict[str, dict[str, Any]] = {}
    for reading, layer in layers_of(graph):
        found = table.setdefault(layer.path, {})
        for weight in layer.weights:
            value = weight.value(reading.form)
            if value.numel():
                found[free_name(layer.within(reading.tensor(weight)), found)] = nearness(value)
        for gate in layer.gates:
            found[free_name("gate", found)] = saturation(gate_shares(reading.form, gate))
    return table


def gate_shares(form: Form, gate: Gate) -> dict[str, Tensor]:
    """Return the gate value of each path, on seeded inputs of the gate."""
    named = {"sum": gate.sum, "product": gate.product}
    named |= {f"other_{place}": share for place, share in enumerate(gate.others)}
    shares = {name: share for name, share in named.items() if share is not None}
    if gate.source is None:
        return {name: share.of(form.value(share.node)) for name, share in shares.items()}
    shapes = {str(place): form.example()[node].shape[1:] for place, node in enumerate(gate.source.data)}
    units = max(form.example()[share.node].shape[1:].numel() for share in shares.values())
    inputs = inputs_of_gate(shapes, units)
    known: Values = {node: inputs[str(place)] for place, node in enumerate(gate.source.data)}
    values = form.resume(known, form.between([share.node for share in shares.values()], known), {})
    return {name: share.of(values[share.node]) for name, share in shares.items()}


def weight_matrices(graph: ModelGraph) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Return the matrices of each layer, (out, in): effective weights by name, and gate matrices as ``"gate G"``."""
    table: dict[str, dict[str, NDArray[np.float32]]] = {}
    for reading, layer in layers_of(graph):
        matrices = {layer.within(reading.tensor(weight)): weight.value(reading.form) for weight in layer.weights}
        for gate in layer.gates:
            for product in () if gate.source is None else gate.source.products:
                name = layer.within(reading.form.names[product.read])
                matrices[f"{GATE}{name}"] = reading.form.value(product.constant)
        found = {name: value.detach().float().numpy() for name, value in matrices.items() if value.ndim == 2}
        table[layer.path] = table.get(layer.path, {}) | found
    return table
