"""The same layout with its matrices stored the other way round, which the shapes of square layers do not tell apart."""

from dataclasses import replace

from nalu_export.checkpoints.layouts.base import Unit

SUFFIX = "-turned"
_OTHER = {"oi": "io", "io": "oi"}


def turned(unit: Unit) -> Unit | None:
    """The unit with (i, o) for (o, i) and (o, i) for (i, o); ``None`` for a unit without such a twin.

    The weight of an ``nn.Linear`` stays as torch stores it everywhere. A unit that is not read has no twin: it is
    refused either way round.
    """
    keys = {
        leaf: key if key.linear or key.shape not in _OTHER else replace(key, shape=_OTHER[key.shape])
        for leaf, key in unit.keys.items()
    }
    if unit.cell is None or keys == unit.keys:
        return None
    return replace(unit, name=unit.name + SUFFIX, keys=keys)
