"""Reads the numbers of a header back, without compiling it."""

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError
from nalu_export.formats._cpp_text import untiled

_COMMENT = re.compile(r'// (weight|constant) ([0-9]{1,9}(?:x[0-9]{1,9}){0,7}) "([^"]*)"')
_END = "};"


def arrays(data: bytes) -> dict[str, NDArray[np.generic]]:
    """The arrays of a header by the names that they have in the model.

    Raises:
        InputError: one of them has not as many numbers as its shape needs, or what is no number.
    """
    found: dict[str, NDArray[np.generic]] = {}
    lines = iter(data.decode("ascii", "replace").splitlines())
    for line in lines:
        match = _COMMENT.fullmatch(line)
        if match is not None:
            name = match[3].encode().decode("unicode_escape")
            found[name] = _array(match[1], tuple(map(int, match[2].split("x"))), name, lines)
    return found


def _array(kind: str, shape: tuple[int, ...], name: str, lines: Iterator[str]) -> NDArray[np.generic]:
    next(lines, None)  # the declaration
    texts: list[str] = []
    for line in lines:
        texts += line.removesuffix(_END).replace(",", " ").split()
        if line.endswith(_END):
            break
    try:
        values = [float.fromhex(text.removesuffix("f")) for text in texts]
    except (ValueError, OverflowError) as error:
        raise InputError(f"holds a damaged array {name!a}") from error
    if len(values) != math.prod(shape) or (kind == "weight" and len(shape) != 2):
        raise InputError(f"holds a damaged array {name!a}")
    numbers = np.array(values, np.float32 if texts and texts[0].endswith("f") else np.float64)
    return untiled(numbers, *shape) if kind == "weight" else numbers.reshape(shape)
