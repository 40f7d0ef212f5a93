"""Reads the numbers of a header back, without compiling it.

This is no parser of C++: it reads the lines that :class:`nalu_export.formats.cpp.text.Parameters` writes, each array
behind a comment with its name and shape. A parser of the language (libclang) would be one more
dependency for these few lines; a compiler would run what the file says; and a copy of the numbers in the metadata would
double the file and might differ from what is computed with.
"""

import json
import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError
from nalu_export.formats.cpp.text import number, untiled
from nalu_export.io.text import short

Array = NDArray[np.generic]
Shape = tuple[int, ...]
_SHAPE = r"([1-9][0-9]{0,8}(?:x[1-9][0-9]{0,8}){0,7})"
_COMMENT = re.compile(rf'// (weight|constant) {_SHAPE}(?: repeated to {_SHAPE})? (".*")')
_END = "};"


def arrays(data: bytes) -> dict[str, Array]:
    """The arrays of a header by the names that they have in the model.

    Raises:
        InputError: one of them has not as many numbers as its shape needs, or what is no number; or one that is held
            twice, because it is read in two ways, is not twice the same.
    """
    found: dict[str, Array] = {}
    lines = iter(data.decode("ascii", "replace").splitlines())
    for line in lines:
        match = _COMMENT.fullmatch(line)
        if match is None:
            continue
        kind, own, held, text = match.groups()
        name = _name(text)
        numbers = _numbers(lines, name)
        array = _array(kind, _shape(own), _shape(held or own), numbers)
        if array is None or (name in found and found[name].tobytes() != array.tobytes()):
            raise _damaged(name)
        found[name] = array
    return found


def _damaged(name: str) -> InputError:
    return InputError(f"holds a damaged array {short(name)}; export it again")


def _name(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise _damaged(text) from error


def _shape(text: str) -> Shape:
    return tuple(map(int, text.split("x")))


def _numbers(lines: Iterator[str], name: str) -> Array:
    """The numbers of an array of one type, from behind its comment to its end."""
    next(lines, None)  # the declaration
    texts: list[str] = []
    for line in lines:
        texts += line.removesuffix(_END).replace(",", " ").split()
        if line.endswith(_END):
            break
    try:
        found = [number(text) for text in texts]
    except (ValueError, OverflowError) as error:
        raise _damaged(name) from error
    singles = {single for _, single in found}
    if len(singles) != 1:
        raise _damaged(name)
    numbers = np.array([value for value, _ in found], np.float64)
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32) if singles == {True} else numbers


def _array(kind: str, own: Shape, held: Shape, numbers: Array) -> Array | None:
    """An array that is ``own`` in the model from its numbers as they are ``held``; ``None`` where they do not fit."""
    if numbers.size != math.prod(held):
        return None
    if kind == "weight":
        return untiled(numbers, *own) if len(own) == 2 and own == held else None
    # Axes of 1 before those that are held; and those that are held before its own.
    spare = max(0, len(own) - len(held))
    start = (1,) * (len(held) - len(own)) + own[spare:]
    whole = numbers.reshape(held)
    if math.prod(own[:spare]) != 1 or any(size not in (1, full) for size, full in zip(start, held, strict=True)):
        return None
    array = whole[tuple(slice(size) for size in start)]
    return array.reshape(own) if np.broadcast_to(array, held).tobytes() == whole.tobytes() else None
