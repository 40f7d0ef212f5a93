"""Lists every known layout as plain data, for the command line and docs/checkpoints.md."""

from typing import Any

from nalu_export.checkpoints import layouts
from nalu_export.checkpoints.layouts.base import Key, Unit
from nalu_export.checkpoints.turning import turned


def rows(owner: str | None = None) -> list[dict[str, Any]]:
    """Return a dict for each unit. Variants of the same name are merged; optional keys are in parentheses.

    Args:
        owner: owner of a layout; by default all owners.

    Raises:
        InputError: there is no such owner.
    """
    found: list[dict[str, Any]] = []
    for name in layouts.names() if owner is None else (owner,):
        layout = layouts.get(name)
        for unit in dict.fromkeys(unit.name for unit in layout.units):
            variants = [other for other in layout.units if other.name == unit]
            found.append(_row(name, variants))
    return found


def _row(owner: str, variants: list[Unit]) -> dict[str, Any]:
    first = variants[0]
    shared = [leaf for leaf in first.keys if all(leaf in unit.keys for unit in variants)]
    # If the shape of a key differs between variants, the first variant's shape is listed.
    every = {leaf: key for unit in reversed(variants) for leaf, key in unit.keys.items()}
    every = {leaf: every[leaf] for unit in variants for leaf in unit.keys}
    around, twin = first.around, turned(first)
    outside = {} if around is None else {f"{around.backbone}*": "", f"{around.reduce}*": ""}
    return {
        "layout": f"{owner}:{first.name}",
        "turned": None if twin is None else f"{owner}:{twin.name}",
        "read": first.cell is not None,
        "keys": outside | {leaf if leaf in shared else f"({leaf})": _shape(key) for leaf, key in every.items()},
        "eps": first.eps,
        "faux": bool(first.options.get("stored")) and not first.by_intent,
        "places": list(dict.fromkeys(place for unit in variants for place in unit.places)),
        "quirks": list(first.quirks),
    }


def _shape(key: Key) -> str:
    if key.shape is None:
        return ""
    return f"({', '.join(key.shape)}{',' if len(key.shape) == 1 else ''})"
