"""The common part of the three a/m/g variants: a gate g, a NAC a for the sum and a NAC m for the product."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Key, linear, weight

PLACES = (*MODEL, *CELL, "layers.{}.")


def amg_keys(shape: str) -> dict[str, Key]:
    """Return the keys: ``g.weight`` as torch stores it, and raw parameters of shape ``shape`` with lower-case names."""
    paths = {"a": "", "m": "_mul"}
    raw = {"w_hat": "W_hat", "m_hat": "M_hat"}
    return {"g.weight": linear("G")} | {
        f"{path}.{name}": weight(ours + suffix, shape) for path, suffix in paths.items() for name, ours in raw.items()
    }
