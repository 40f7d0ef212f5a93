"""One row of a layer table, with all that is needed to find the layer's weights and gates in an exported file."""

from typing import Any

import numpy as np
from torch import fx

from nalu_export.graph.reading import Epsilon, Gate, Layer, Reading, Share, recipe

USUAL = "added to |x|"


def row_of(reading: Reading, layer: Layer, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a layer.

    Args:
        reading: the reading of the subgraph that holds the layer.
        layer: the layer.
        arguments: its constructor arguments, if known.
    """
    return {
        "path": layer.path,
        # In a file a region may be a module although the model has none there.
        **({"region": reading.name} if reading.is_region else {}),
        "type": layer.type.__name__,
        **_sizes(reading, layer),
        **arguments,
        **_epsilon(layer.epsilons),
        "weights": {
            layer.within(reading.tensor(weight)): _recipe(reading, layer, weight.product.constant)
            for weight in layer.weights
        },
        **({"gates": [_gate(reading, layer, gate) for gate in layer.gates]} if layer.gates else {}),
    }


def _sizes(reading: Reading, layer: Layer) -> dict[str, int]:
    """Return the sizes of the first weight matrix; without one, of a gate's input and of the layer's result."""
    form = reading.form
    matrix = next((shape for weight in layer.weights if len(shape := weight.shape(form)) == 2), None)
    if matrix is not None:
        return {"in_features": matrix[1], "out_features": matrix[0]}
    seen = next((gate.source.data[0] for gate in layer.gates if gate.source and gate.source.data), None)
    given = next((node for node in form.results_of(layer.call) if not form.is_constant(node)), None)
    if seen is None or given is None or min(form.example()[node].ndim for node in (seen, given)) < 1:
        return {}
    return {"in_features": form.example()[seen].shape[-1], "out_features": form.example()[given].shape[-1]}


def _epsilon(epsilons: tuple[Epsilon, ...]) -> dict[str, Any]:
    if not epsilons:
        return {}
    first = epsilons[0]
    found: dict[str, Any] = {"eps": short_of(first.added or first.floor)}
    return found if said(first) == USUAL else found | {"eps_is": said(first)}


def said(epsilon: Epsilon) -> str:
    """Return the position of ε in the formula, in words."""
    of = "x²" if epsilon.square else "|x|"
    if not epsilon.added:
        return f"the lower bound of {of}"
    return f"added to max({of}, {short_of(epsilon.floor):g})" if epsilon.floor else f"added to {of}"


def short_of(value: float) -> float:
    """Return 1e-10 for the float32 nearest to it."""
    single = np.float32(value)
    return float(str(single)) if float(single) == value else value


def _recipe(reading: Reading, layer: Layer, node: fx.Node) -> str | None:
    """Return the formula of a constant from parameters, named relative to the layer's path."""

    def leaf(constant: fx.Node) -> str | None:
        name = reading.form.parameter(constant)
        return None if name is None else layer.within(name)

    return recipe(node, leaf)


def _gate(reading: Reading, layer: Layer, gate: Gate) -> dict[str, Any]:
    """Return a gate's formulas, with a folded file's constants, and the formulas of constants that are computed."""
    form = reading.form
    data = {} if gate.source is None else {node: _numbered("x", place) for place, node in enumerate(gate.source.data)}
    read: dict[fx.Node, str] = {}

    def leaf(node: fx.Node) -> str | None:
        if node in data:
            return data[node]
        if node not in form.names:
            return None
        return read.setdefault(node, layer.within(form.names[node]))

    named: dict[str, Share | None] = {"sum": gate.sum, "product": gate.product}
    named |= {_numbered("other", place): share for place, share in enumerate(gate.others)}
    found: dict[str, Any] = {}
    for name, share in named.items():
        if share is not None:
            text = recipe(share.node, leaf)
            found[name] = f"logical_not({text})" if share.rest and text is not None else text
    constants = {name: _recipe(reading, layer, node) for node, name in read.items()}
    different = {name: text for name, text in constants.items() if text != name}
    if data:
        found["inputs"] = {name: list(form.example()[node].shape[1:]) for node, name in data.items()}
    return found | ({"constants": different} if different else {})


def _numbered(name: str, place: int) -> str:
    return name if place == 0 else f"{name}_{place + 1}"
