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
    """Return the arrays of a header by their names in the model.

    Raises:
        InputError: an array has too many or too few numbers for its shape, or has text that is not a number; or the two
            copies of an array, which a header has if the array is read in two ways, differ.
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
    """Read the numbers of an array, from the line after its comment to its end. All must be of one type."""
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
    """Return an array in its shape in the model.

    Args:
        kind: ``"weight"`` or ``"constant"``.
        own: its shape in the model.
        held: its shape in the header, where a constant may be repeated.
        numbers: its numbers in the header.

    Returns:
        The array; ``None`` if the numbers do not fit the shapes.
    """
    if numbers.size != math.prod(held):
        return None
    if kind == "weight":
        return untiled(numbers, *own) if len(own) == 2 and own == held else None
    # Leading axes that only the model has must be of size 1. Leading axes that only the header has are repetitions.
    spare = max(0, len(own) - len(held))
    start = (1,) * (len(held) - len(own)) + own[spare:]
    whole = numbers.reshape(held)
    if math.prod(own[:spare]) != 1 or any(size not in (1, full) for size, full in zip(start, held, strict=True)):
        return None
    array = whole[tuple(slice(size) for size in start)]
    return array.reshape(own) if np.broadcast_to(array, held).tobytes() == whole.tobytes() else None
