"""Recognises the public layout of a state_dict by its names and shapes; an ambiguous one is refused, not guessed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from nalu_export.checkpoints import layouts
from nalu_export.checkpoints._refusals import SAVE_INSTEAD
from nalu_export.checkpoints.fitting import NAMED, Fit, Misfit, fit, some
from nalu_export.checkpoints.layouts.base import Layout, Shape, Unit
from nalu_export.checkpoints.turning import SUFFIX, turned
from nalu_export.errors import InputError, option
from nalu_export.io.assumption import code
from nalu_export.io.text import MAX_TEXT

OURS = "nalu-export"
# The largest public CNNs have 2,000 tensors. Each unit of each layout looks at all tensors.
MAX_TENSORS = 5000


def otherwise() -> str:
    """What to do with a model of no known layout."""
    return f"for any other model give {code()}"


class UnknownLayoutError(InputError):
    """No layout has names that are near those of the file."""


@dataclass(frozen=True)
class Recognised:
    """The layout that was recognised in a state_dict.

    Attributes:
        fit: the unit that explains the state_dict.
        names: all layouts in which the state_dict is the same function; the first one is used.
        decided_by: what tells whether the matrices are transposed. ``"shapes"``: transposed, the matrices would not fit
            or would compute the same. ``"names"``: transposed, they would fit too, and they are read as the owner of
            the names stores them. ``"layout"``: transposed, they would fit too, and the user chose.
    """

    fit: Fit
    names: tuple[str, ...]
    decided_by: Literal["shapes", "names", "layout"] = "shapes"


def recognise(state: Mapping[str, Tensor], layout: str | None = None, eps: float | None = None) -> Recognised:
    """Recognise the layout of a state_dict by its names and shapes.

    Args:
        state: tensors by name, without prefixes of wrappers.
        layout: ``"owner"``, ``"owner:unit"`` or ``"owner:unit-turned"`` (with transposed matrices), where the user
            knows it.
        eps: ε instead of the published one.

    Raises:
        UnknownLayoutError: no layout has similar names.
        InputError: no layout fits, or several fit that compute different functions; the text lists them.
    """
    if not state:
        raise InputError(f"holds no tensor; {SAVE_INSTEAD}")
    if len(state) > MAX_TENSORS:
        raise InputError(f"holds {len(state):,} tensors, but a known layout has at most {MAX_TENSORS:,}; {otherwise()}")
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    chosen = list(_chosen(layout))
    tried = [fit(owner.owner, unit, place, shapes) for owner, unit in chosen for place in unit.places]
    fits = [found for found in tried if isinstance(found, Fit)]
    if layout is None:
        fits += _twins(fits, eps)
    misfits = [found for found in tried if isinstance(found, Misfit)]
    # Units that are not read fit by their names alone. They do not hide a wrong shape in a unit that is read.
    unread = all(found.unit.cell is None for found in fits)
    if not fits or (unread and any(misfit.nearness >= NAMED for misfit in misfits)):
        raise _no_fit(list(state), misfits, layout)
    functions: dict[str, list[Fit]] = {}
    for found in fits:
        functions.setdefault(found.function(eps), []).append(found)
    groups = [sorted(group, key=lambda found: found.name) for group in functions.values()]
    if len(groups) > 1:
        raise InputError(_ambiguous(list(state), groups))
    names = tuple(dict.fromkeys(found.name for found in groups[0]))
    if groups[0][0].unit.cell is None:
        raise InputError(
            f"has {some(list(state))}, as the layout {names[0]} does, which is known but not read in this release; "
            f"give its code: {code()}"
        )
    return Recognised(groups[0][0], names, _decided_by(groups[0][0], shapes, layout))


def _twins(fits: list[Fit], eps: float | None) -> list[Fit]:
    """Return the fits of square layers with transposed matrices, unless a public layout computes the same already."""
    public = {found.function(eps) for found in fits}
    square = [found for found in fits if found.dims and set(found.dims) == {found.dims[0]}]
    twins = [replace(found, unit=unit) for found in square if (unit := turned(found.unit)) is not None]
    return [twin for twin in twins if twin.function(eps) not in public]


def _decided_by(found: Fit, shapes: Mapping[str, Shape], layout: str | None) -> Literal["shapes", "names", "layout"]:
    other = turned(replace(found.unit, name=found.unit.name.removesuffix(SUFFIX)))
    twin = None if other is None else fit(found.owner, other, found.place, shapes)
    if not isinstance(twin, Fit) or twin.function() == found.function():
        return "shapes"
    around = found.unit.around
    if around is not None and shapes.get(f"{around.reduce}weight", ())[:1] != twin.dims[:1]:
        return "shapes"  # the convolution before the head does not fit the transposed unit
    return "names" if layout is None else "layout"


def _chosen(layout: str | None) -> Iterable[tuple[Layout, Unit]]:
    if layout is None:
        # This package's layout comes first: the error names the first of equally near misfits.
        every = sorted(map(layouts.get, layouts.names()), key=lambda owner: owner.owner != OURS)
        return [(owner, unit) for owner in every for unit in owner.units]
    name, colon, wanted = layout.partition(":")
    if name not in layouts.names():
        raise InputError(f"{option('layout')} is {layout!r}; allowed owners: {', '.join(layouts.names())}")
    owner = layouts.get(name)
    either = [*owner.units, *(twin for unit in owner.units if (twin := turned(unit)) is not None)]
    units = [unit for unit in either if unit.name.lower() == wanted.lower()] if colon else list(owner.units)
    if not units:
        allowed = ", ".join(dict.fromkeys(f"{name}:{unit.name}" for unit in either))
        raise InputError(f"{option('layout')} is {layout!r}; allowed: {allowed}")
    return [(owner, unit) for unit in units]


def _no_fit(keys: list[str], misfits: list[Misfit], layout: str | None) -> InputError:
    best = max(misfits, key=lambda misfit: misfit.nearness)
    if layout is not None:
        return InputError(f"is not in the layout {layout}: it {best.reason}; or give its code: {code()}")
    # A few names may fit by chance. The error then names no layout, which the user may never have heard of.
    if best.nearness < 0.5:
        return UnknownLayoutError(f"has keys of no known layout: {some(keys)}; {otherwise()}")
    return InputError(f"{best.reason}; {otherwise()}")


def _ambiguous(keys: list[str], groups: list[list[Fit]]) -> str:
    readable = [_named(group) for group in groups if group[0].unit.cell is not None]
    unread = sorted({found.name for group in groups if group[0].unit.cell is None for found in group})
    if not readable:
        names = ", ".join(unread)
        why = "which are known but not read in this release"
        return f"has {some(keys)}, as the layouts {names} do, {why}; give its code: {code()}"
    parts = ", ".join(sorted(readable))
    turns = " (-turned: its matrices are stored transposed)" if SUFFIX in parts else ""
    known = f", or one that is known but not read in this release: {', '.join(unread)}" if unread else ""
    return (
        f"has {some(keys)}, which fit several layouts that compute different functions: {parts}{known}; "
        f"say which with {option('layout', 'OWNER:UNIT')}{turns}, or give its code: {code()}"
    )


def _named(group: list[Fit]) -> str:
    first, *others = dict.fromkeys(found.name for found in group)
    sizes = " → ".join(map(str, group[0].dims))
    same = f" = {' = '.join(others)}" if others else ""
    return f"{first}{same} ({sizes if len(sizes) < MAX_TEXT else f'{len(group[0].dims) - 1} layers'})"
