"""A bare state_dict of a NAC or NALU stack in our own naming, recognised from keys and shapes alone."""

import re

import torch
from torch import Tensor, nn

from nalu_export.errors import InputError
from nalu_export.nn import NAC, NALU, NACCell, NALUCell
from nalu_export.text import short

_KEY = re.compile(r"(?:layers\.([0-9]{1,6})\.)?(W_hat|M_hat|G|W_hat_mul|M_hat_mul)")
_KINDS = {
    frozenset({"W_hat", "M_hat"}): "NAC",
    frozenset({"W_hat", "M_hat", "G"}): "NALU",
    frozenset({"W_hat", "M_hat", "G", "W_hat_mul", "M_hat_mul"}): "untied NALU",
}
EXPECTED = (
    "W_hat and M_hat (NAC), with G (NALU), with W_hat_mul and M_hat_mul (untied), each under layers.0., layers.1. …"
)


def recognise(state: dict[str, Tensor]) -> nn.Module:
    """The stack or cell that a state_dict belongs to, on the meta device; ε is the default, as no key tells it.

    Raises:
        InputError: keys of something else, or shapes that do not fit together.
    """
    cells: dict[int, dict[str, tuple[int, ...]]] = {}
    for key, value in state.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise InputError(
                f"has the key {short(key)}, so it is not a NAC or NALU stack in this package's naming; "
                f"expected {EXPECTED}; for any other model give --model package.module:factory"
            )
        cells.setdefault(-1 if match[1] is None else int(match[1]), {})[match[2]] = tuple(value.shape)
    if not cells:
        raise InputError(f"holds no tensor; expected {EXPECTED}")
    indices = sorted(cells)
    if -1 in cells and len(cells) > 1:
        raise InputError(f"mixes keys of a cell (W_hat) and of a stack (layers.0.W_hat); expected {EXPECTED}")
    gap = next((index for index in range(len(indices)) if index not in cells), None)
    if indices != [-1] and gap is not None:
        raise InputError(f"has layers.{indices[-1]} but not layers.{gap}; a stack has no gap")
    kinds = {_kind(index, shapes) for index, shapes in cells.items()}
    if len(kinds) != 1:
        raise InputError(f"mixes layers of {' and '.join(sorted(kinds))}; a stack has one kind")
    dims = _chain([cells[index] for index in indices])
    gate = _gate([cells[index] for index in indices])
    kind = kinds.pop()
    with torch.device("meta"):
        if kind == "NAC":
            return NACCell(*dims) if indices == [-1] else NAC(*dims)
        tied = kind == "NALU"
        if indices == [-1]:
            return NALUCell(dims[0], dims[1], tied=tied, gate=gate)
        return NALU(*dims, tied=tied, gate=gate)


def _prefix(index: int) -> str:
    return "" if index < 0 else f"layers.{index}."


def _kind(index: int, shapes: dict[str, tuple[int, ...]]) -> str:
    kind = _KINDS.get(frozenset(shapes))
    if kind is None:
        keys = ", ".join(_prefix(index) + key for key in sorted(shapes))
        raise InputError(f"has only the keys {keys} in one layer; expected {EXPECTED}")
    size = shapes["W_hat"]
    if len(size) != 2 or 0 in size:
        raise InputError(f"has {_prefix(index)}W_hat of shape {size}; expected (out_features, in_features)")
    for key, shape in shapes.items():
        if shape != size and not (key == "G" and shape == (1, size[1])):
            raise InputError(f"has {_prefix(index)}{key} of shape {shape}; expected {size}, as W_hat")
    return kind


def _chain(cells: list[dict[str, tuple[int, ...]]]) -> list[int]:
    dims = [cells[0]["W_hat"][1]]
    for index, shapes in enumerate(cells):
        outputs, inputs = shapes["W_hat"]
        if inputs != dims[-1]:
            raise InputError(
                f"has layers.{index}.W_hat of shape {(outputs, inputs)} after a layer with {dims[-1]} outputs; "
                f"expected ({outputs}, {dims[-1]})"
            )
        dims.append(outputs)
    return dims


def _gate(cells: list[dict[str, tuple[int, ...]]]) -> str:
    """A gate of one row is a matrix where the layer has one output, so the other layers decide."""
    rows = {shapes["G"] != shapes["W_hat"] for shapes in cells if "G" in shapes and shapes["W_hat"][0] > 1}
    if len(rows) > 1:
        raise InputError("mixes layers with a gate row and layers with a gate matrix; a stack has one kind")
    return "row" if rows == {True} else "matrix"
