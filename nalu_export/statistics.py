"""What the layers of a model or an artifact look like: sizes, ε, how near the weights are to −1, 0 and 1."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nalu_export.checkpoints.description import build
from nalu_export.errors import InputError, first_line
from nalu_export.nn import ArithmeticLayer
from nalu_export.nn.layer import constructor_arguments
from nalu_export.nn.parts import arithmetic_layers
from nalu_export.text import short

# A weight this near to −1, 0 or 1 has settled; a gate this near to 0 or 1 has chosen one path.
NEAR = 0.01
GATE_SAMPLES = 1024
# Numbers in the inputs or outputs of a gate at once: wide gates are judged on fewer samples.
GATE_NUMBERS = 2**22
# Of an exported file, whose metadata may be anything: each is built, which takes most of a millisecond.
MAX_LAYERS = 1000


def layer_table(model: nn.Module) -> list[dict[str, Any]]:
    """One plain dict for each cell: path, type and constructor arguments (sizes, ε, gate …)."""
    return [
        {"path": path, "type": type(layer).__name__} | _plain(constructor_arguments(layer))
        for path, layer in arithmetic_layers(model).items()
    ]


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments that JSON holds; a layer of the user's own may have others, whose text changes each run."""
    return {name: value for name, value in arguments.items() if isinstance(value, (bool, int, float, str, type(None)))}


def weight_statistics(model: nn.Module) -> dict[str, dict[str, Any]]:
    """For each cell its effective weights' distance from −1, 0 and 1 and, where it has one, how saturated its gate is.

    The gate is judged on inputs uniform in 0.1..1, seeded: the share of ``σ(x Gᵀ)`` within 0.01 of 0 or of 1.
    """
    return {
        path: _cell_statistics(layer.effective_weights(), getattr(layer, "G", None))
        for path, layer in arithmetic_layers(model).items()
    }


def weight_matrices(model: nn.Module) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Effective weights and gates of each cell, by the names that its formula gives them."""
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    for path, layer in arithmetic_layers(model).items():
        matrices = dict(layer.effective_weights())
        gate = getattr(layer, "G", None)
        if isinstance(gate, Tensor):
            matrices["G"] = gate
        found[path] = {name: value.detach().float().numpy() for name, value in matrices.items() if value.ndim == 2}
    return found


def artifact_statistics(
    layers: list[dict[str, Any]], tensors: Mapping[Any, NDArray[np.generic]], *, folded: bool
) -> dict[str, dict[str, Any]]:
    """The same for an exported file, from its layer table and its tensors.

    A folded file holds the effective weights under their names. From a live one the layer is built again and computes
    them, so that the formula stays in one place.

    Raises:
        InputError: the tensors of a layer are not in the file, or not those that the layer table speaks of.
    """
    if len(layers) > MAX_LAYERS:
        raise InputError(f"its metadata lists {len(layers):,} layers; at most {MAX_LAYERS:,} are shown")
    by_layer: dict[str, dict[str, NDArray[np.generic]]] = {}
    for name, value in tensors.items():
        if isinstance(name, str):
            prefix, dot, leaf = name.rpartition(".")
            by_layer.setdefault(prefix + dot, {})[leaf] = np.array(value)
    table: dict[str, dict[str, Any]] = {}
    for row in layers:
        if row["path"] in table:
            raise InputError(f"its metadata lists the layer {short(row['path'] or row['type'])} twice")
        found = by_layer.get(f"{row['path']}." if row["path"] else "")
        if not found:
            raise InputError(f"the file has no tensors of its layer {short(row['path'] or row['type'])}")
        layer = build({"type": row["type"], "args": {k: v for k, v in row.items() if k not in ("path", "type")}})
        if not isinstance(layer, ArithmeticLayer):
            raise InputError(
                f"its layer {short(row['path'] or row['type'])} is a {row['type']}, which is not arithmetic"
            )
        try:
            values = {name: torch.from_numpy(value) for name, value in found.items()}
            table[row["path"]] = _artifact_cell(layer, values, folded=folded)
        except (RuntimeError, TypeError, IndexError) as error:
            # torch's words for a shape that is not the layer's, and for a type that it does not have.
            raise InputError(
                f"the tensors of its layer {short(row['path'] or row['type'])} do not fit it: {first_line(error)}"
            ) from error
    return table


def _artifact_cell(layer: ArithmeticLayer, found: dict[str, Tensor], *, folded: bool) -> dict[str, Any]:
    # By name: at the top level of a file there are also the literals of the formula (1e-10:float32).
    wanted = layer.effective_weights() if folded else dict(layer.named_parameters())
    weights: Mapping[str, Tensor] = {name: found[name] for name in wanted if name in found}
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            raise TypeError(f"{name} has shape {tuple(value.shape)}, not {tuple(wanted[name].shape)}")
    if not folded:
        layer.load_state_dict(weights, assign=True)
        weights = layer.effective_weights()
    return _cell_statistics(weights, found.get("G"))


def nearest(weight: Tensor) -> Tensor:
    """The nearest of −1, 0 and 1 to each weight; NaN stays NaN."""
    return weight.round().clamp(-1.0, 1.0)


def uniform_inputs(features: int, samples: int, low: float = 0.1, high: float = 1.0) -> Tensor:
    """Seeded inputs like those of training, float64 ``(samples, features)``."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(samples, features, generator=generator, dtype=torch.float64) * (high - low) + low


def _cell_statistics(weights: Mapping[str, Tensor], G: Any) -> dict[str, Any]:
    statistics: dict[str, Any] = {name: _nearness(weight) for name, weight in weights.items()}
    if isinstance(G, Tensor) and G.ndim == 2:  # a user's own layer may call something else G
        statistics["gate"] = _saturation(G)
    return statistics


def _nearness(weight: Tensor) -> dict[str, float]:
    values = weight.detach().double()
    distance = (values - nearest(values)).abs()
    return {
        "settled": _share(distance <= NEAR),
        **{f"at_{target}": _share((values - target).abs() <= NEAR) for target in (-1, 0, 1)},
        "farthest": float(distance.max()),
    }


def _saturation(G: Tensor) -> dict[str, float]:
    samples = max(1, min(GATE_SAMPLES, GATE_NUMBERS // max(*G.shape, 1)))
    gate = torch.sigmoid(uniform_inputs(G.shape[1], samples) @ G.detach().double().T)
    return {"add": _share(gate >= 1 - NEAR), "multiply": _share(gate <= NEAR)}


def _share(mask: Tensor) -> float:
    return float(mask.double().mean())
