"""Units with transposed matrices. The shapes of square layers do not tell whether their matrices are transposed."""

from dataclasses import replace

from nalu_export.checkpoints.layouts.base import Unit

SUFFIX = "-turned"
_OTHER = {"oi": "io", "io": "oi"}


def turned(unit: Unit) -> Unit | None:
    """Return the unit with (i, o) for (o, i) and (o, i) for (i, o); ``None`` for a unit without a transposed variant.

    The weight of an ``nn.Linear`` is not transposed, because torch always stores it as (o, i). A unit that is not read
    has no transposed variant, because it is refused anyway.
    """
    keys = {
        leaf: key if key.linear or key.shape not in _OTHER else replace(key, shape=_OTHER[key.shape])
        for leaf, key in unit.keys.items()
    }
    if unit.cell is None or keys == unit.keys:
        return None
    return replace(unit, name=unit.name + SUFFIX, keys=keys)
