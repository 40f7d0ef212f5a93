"""Computes weights from the parts that weight_norm or spectral_norm stores, as torch does in ``eval()`` mode."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nalu_export.errors import InputError, option
from nalu_export.io.text import short

# Returns, for the name of a weight, the axis along which each entry has its own norm.
Axis = Callable[[str], int]
_NEW = re.compile(r"(?P<path>(?:.*\.)?)parametrizations\.(?P<leaf>[^.]+)\.(?P<part>original\d*|\d+\..+)", re.DOTALL)
_REMOVE = "torch.nn.utils.parametrize.remove_parametrizations"


def computed(state: Mapping[str, Tensor], axis: Axis = lambda _: 0) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Replace the parts of each such weight by the weight; return the new state and notes about it.

    Args:
        state: tensors by name. Parts whose shapes do not fit, or whose weight is in the state too, stay.
        axis: returns the ``dim`` that spectral_norm was given: 1 for transposed convolutions, else 0. The axis of
            weight_norm is read off the shapes.
    """
    made: dict[str, dict[str, Tensor]] = {"weight_norm": {}, "spectral_norm": {}}
    used: set[str] = set()
    for kind, name, parts in (*_new(state), *_old(state)):
        if name in state:
            continue
        values = [state[part] for part in parts]
        value = _normed(*values) if kind == "weight_norm" else _divided(axis(name), *values)
        if value is not None:
            made[kind][name] = value
            used.update(parts)
    kept = {name: value for name, value in state.items() if name not in used}
    notes = [
        f"{', '.join(map(short, list(found)[:3]))}{' …' if len(found) > 3 else ''}: computed from the parts of {kind}"
        for kind, found in made.items()
        if found
    ]
    return kept | made["weight_norm"] | made["spectral_norm"], tuple(notes)


def refuse_unknown(state: Mapping[str, Tensor]) -> None:
    """Refuse parts of a weight that a function computes whose code is not in the file.

    Raises:
        InputError: there are such parts.
    """
    for name in state:
        match = _NEW.fullmatch(name)
        if match is not None:
            raise InputError(
                f"has {short(name)} of a parametrization, but a file of weights does not hold its code; give "
                f"{option('model', 'FILE.py:NAME')}, or save it after {_REMOVE}(module, {short(match['leaf'])})"
            )


def _new(state: Mapping[str, Tensor]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Find the parts that ``torch.nn.utils.parametrizations`` makes."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for name in state:
        if match := _NEW.fullmatch(name):
            groups.setdefault((match["path"], match["leaf"]), {})[match["part"]] = name
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for (path, leaf), parts in groups.items():
        if parts.keys() == {"original0", "original1"}:
            found.append(("weight_norm", path + leaf, (parts["original0"], parts["original1"])))
        elif parts.keys() == {"original", "0._u", "0._v"}:
            found.append(("spectral_norm", path + leaf, (parts["original"], parts["0._u"], parts["0._v"])))
    return found


def _old(state: Mapping[str, Tensor]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Find the parts that ``torch.nn.utils.weight_norm`` and ``torch.nn.utils.spectral_norm`` make."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for name in state:
        if name.endswith("_g"):
            base = name.removesuffix("_g")
            if f"{base}_v" in state and f"{base}_orig" not in state:
                found.append(("weight_norm", base, (name, f"{base}_v")))
        elif name.endswith("_orig"):
            base = name.removesuffix("_orig")
            if f"{base}_u" in state and f"{base}_v" in state:
                found.append(("spectral_norm", base, (name, f"{base}_u", f"{base}_v")))
    return found


def _normed(size: Tensor, direction: Tensor) -> Tensor | None:
    """Return ``g · v / ‖v‖``, with the norm over all axes but one or over all; ``None`` if the shapes do not fit."""
    if not _same_floats(size, direction) or direction.ndim == 0 or 0 in direction.shape:
        return None
    axes = range(direction.ndim)
    wanted = {tuple(direction.shape[at] if at == axis else 1 for at in axes): axis for axis in axes}
    found = -1 if size.ndim == 0 else wanted.get(tuple(size.shape))
    return None if found is None else torch._weight_norm(direction, size, found)


def _divided(axis: int, original: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    """Return ``W / uᵀWv``; ``None`` if the shapes do not fit."""
    if not _same_floats(original, left, right) or original.ndim < 2 or 0 in original.shape:
        return None
    matrix = original.movedim(axis, 0).flatten(1)
    if left.shape != matrix.shape[:1] or right.shape != matrix.shape[1:]:
        return None
    return original / torch.dot(left, torch.mv(matrix, right))


def _same_floats(*values: Tensor) -> bool:
    return all(value.is_floating_point() and value.dtype == values[0].dtype for value in values)
