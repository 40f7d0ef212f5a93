"""Inputs as the command line describes them: ``x=batch,time,5`` and ``ids=batch:int64``."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nalu_export.errors import InputError, option
from nalu_export.graph.interface import BATCH
from nalu_export.inputs.example import IMAGE_AXES
from nalu_export.inputs.expected import LENGTH
from nalu_export.io.text import plain

TYPES = {
    name: getattr(torch, name) for name in ("float32", "float64", "bool", "int64", "int32", "int16", "int8", "uint8")
}
MAX_NUMBERS = 2**24
# The metadata of a file, which is not trusted, may list any number of inputs.
MAX_INPUTS = 64
EXPECTED = "expected NAME=batch,SIZE,…[:TYPE] such as x=batch,16 or ids=batch,time:int64"
_SPEC = re.compile(r"([^=:,]+)=([^:]*)(?::(\w+))?")
_AXIS = re.compile(r"(\d{1,9})|([A-Za-z_]\w{0,63})(?:=(\d{1,9}))?")


class Described(dict[str, Tensor]):
    """Inputs made from a description; valid integers for them are not known yet."""


class DescribedInOrder(tuple[Tensor, ...]):
    """The same in the order of ``forward``, without names."""


def inputs_like(texts: Sequence[str]) -> dict[str, Any]:
    """Return ``example_inputs`` and ``dynamic_shapes`` from descriptions.

    Args:
        texts: one for each input. The first axis is ``batch``; a number is a fixed size, a name a free axis;
            ``time=12`` captures the axis with size 12 instead of 16.

    Raises:
        InputError: a text is malformed, names an unknown type, or describes too large an input.
    """
    examples = Described()
    free: dict[str, dict[int, str]] = {}
    for text in texts:
        match = _SPEC.fullmatch(text)
        if match is None:
            raise InputError(f"{option('input')} is {plain(text)!a}; {EXPECTED}")
        name = plain(match[1])
        if match[1] in examples:
            raise InputError(f"input {name} is given twice; give it once")
        sizes, free[match[1]] = _axes(match[2], text, name)
        dtype = match[3] or "float32"
        if dtype not in TYPES:
            raise InputError(f"input {name} is {plain(dtype)}; expected {', '.join(TYPES)}")
        if math.prod(sizes) > MAX_NUMBERS:
            raise InputError(f"input {name} has {math.prod(sizes):,} numbers; at most {MAX_NUMBERS:,} are allowed")
        examples[match[1]] = torch.ones(1, *sizes, dtype=TYPES[dtype])
    return {"example_inputs": examples, "dynamic_shapes": free}


def _axes(text: str, whole: str, name: str) -> tuple[list[int], dict[int, str]]:
    """Return the sizes after the batch axis, and the names of the free axes."""
    first, *rest = text.split(",")
    if first != BATCH:
        raise InputError(f"{option('input')} is {plain(whole)!a}; {EXPECTED}")
    sizes: list[int] = []
    free: dict[int, str] = {}
    for axis, word in enumerate(rest, 1):
        match = _AXIS.fullmatch(word)
        if match is None or match[2] == BATCH:
            raise InputError(f"{option('input')} is {plain(whole)!a}; {EXPECTED}")
        sizes.append(int(match[1] or match[3] or LENGTH))
        if sizes[-1] == 0:
            raise InputError(f"a size of input {name} is 0; expected at least 1")
        if match[2]:
            free[axis] = match[2]
    return sizes, free


def described(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return ``example_inputs``, ``dynamic_shapes`` and names from an artifact's metadata; ``None`` if not possible.

    The inputs are in the order of ``forward``. Metadata does not say which inputs are in containers there.
    """
    rows = metadata.get("inputs") or []
    shapes = [[LENGTH if isinstance(size, str) else size for size in row["shape"][1:]] for row in rows]
    if not rows or any(row["dtype"] not in TYPES or 0 in shape for row, shape in zip(rows, shapes, strict=True)):
        return None
    if sum(math.prod(shape) for shape in shapes) > MAX_NUMBERS or len(rows) > MAX_INPUTS:
        return None
    free = [{k: size for k, size in enumerate(row["shape"]) if k and isinstance(size, str)} for row in rows]
    if any(set(axes.values()) & set(IMAGE_AXES.values()) for axes in free):
        return None  # the layers determine the image size better
    tensors = [torch.ones(1, *shape, dtype=TYPES[row["dtype"]]) for row, shape in zip(rows, shapes, strict=True)]
    names = {f"{kind}_names": [row["name"] for row in metadata.get(f"{kind}s") or []] for kind in ("input", "output")}
    return {"example_inputs": DescribedInOrder(tensors), "dynamic_shapes": free, **names}
