"""Layer tables of earlier releases, which list neither weights nor gates: their cells used fixed names."""

from collections.abc import Mapping
from typing import Any

from nalu_export.errors import InputError
from nalu_export.io.text import short


def upgraded(row: dict[str, Any], tensors: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the row with weights and gates added, if it has neither.

    Args:
        row: a row of a layer table, as it was read.
        tensors: tensors of the file, by name.

    Raises:
        InputError: the file has no tensors of the layer.
    """
    if "weights" in row or "gates" in row:
        return row
    prefix = f"{row['path']}." if row["path"] else ""
    names = {name.removeprefix(prefix) for name in tensors if isinstance(name, str) and name.startswith(prefix)}
    own = {name for name in names if "." not in name and ":" not in name}
    if not own:
        raise InputError(f"the file has no tensors of its layer {short(row['path'] or row['type'])}; export it again")
    if "bias" in own:  # NACExactCell has a matrix W that is no effective weight
        return row | {"weights": {}, "gates": []}
    weights = {}
    for suffix in ("", "_mul"):
        if f"W_hat{suffix}" in own or f"W{suffix}" in own:
            stored = f"W_hat{suffix}" not in own
            weights[f"W{suffix}"] = f"W{suffix}" if stored else f"tanh(W_hat{suffix})·sigmoid(M_hat{suffix})"
    return row | {"weights": weights, "gates": _gates(own, prefix, tensors)}


def _gates(own: set[str], prefix: str, tensors: Mapping[Any, Any]) -> list[dict[str, Any]]:
    if "G" not in own:
        return []
    z = _argument("G", own, prefix, tensors)
    other = _argument("G_mul", own, prefix, tensors) if "G_mul" in own else f"-{z}"
    gate: dict[str, Any] = {"sum": f"sigmoid({z})", "product": f"sigmoid({other})"}
    return [gate | ({"inputs": {"x": [_shape(tensors[f"{prefix}G"])[-1]]}} if "linear" in z else {})]


def _argument(name: str, own: set[str], prefix: str, tensors: Mapping[Any, Any]) -> str:
    """Return the argument ``z`` of a gate; the argument of a constant gate is a single number."""
    if len(_shape(tensors[f"{prefix}{name}"])) != 2:
        return name
    bias = name.replace("G", "G_bias", 1)
    return f"linear(x, {name}, {bias})" if bias in own else f"linear(x, {name})"


def _shape(tensor: Any) -> list[int]:
    return [int(size) for size in getattr(tensor, "shape", ())]
