"""What the three a/m/g variants share: a gate g, a NAC a for the sum and a NAC m for the product."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Key, linear, weight

PLACES = (*MODEL, *CELL, "layers.{}.")


def amg_keys(shape: str) -> dict[str, Key]:
    """``g.weight`` as torch stores it, the raw parameters in ``shape``; their names are in lower case."""
    paths = {"a": "", "m": "_mul"}
    raw = {"w_hat": "W_hat", "m_hat": "M_hat"}
    return {"g.weight": linear("G")} | {
        f"{path}.{name}": weight(ours + suffix, shape) for path, suffix in paths.items() for name, ours in raw.items()
    }
