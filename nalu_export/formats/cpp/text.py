"""Writes names, numbers and arrays of a header. Any C++ compiler takes the text, whatever names a model file has."""

import json
import math
import re
import string
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
# Numbers of outputs in the tiles that weights are stored in; each_tile in the kernels uses the same numbers.
TILES = (16, 8, 4, 2, 1)
NUMBERS_IN_A_LINE = 8
LIMITS = {True: "std::numeric_limits<float>::", False: "std::numeric_limits<double>::"}
_LITERAL = re.compile(r"(-?0x[0-9a-f]+(?:\.[0-9a-f]+)?p[+-][0-9]+)(f?)", re.ASCII)
_SPECIAL = {
    f"{sign}{limits}{name}()": (float(f"{sign}{value}"), single)
    for single, limits in LIMITS.items()
    for sign, name, value in (("", "infinity", "inf"), ("-", "infinity", "inf"), ("", "quiet_NaN", "nan"))
}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")


def stem(text: str) -> str:
    """Return the letters and digits of a text, with an underscore in place of everything between them."""
    return _NOT_IN_A_NAME.sub("_", text).strip("_")


class Names:
    """Gives each key its own identifier."""

    def __init__(self) -> None:
        self._names: dict[Hashable, str] = {}
        self._taken: set[str] = set()

    def of(self, key: Hashable, prefix: str, text: str) -> str:
        """Return the name of ``key``: the letters and digits of ``text``, after a prefix, so that it is no keyword."""
        if key not in self._names:
            name = f"{prefix}_{stem(text)}".rstrip("_")
            tries = (name, *(f"{name}_{number}" for number in range(2, len(self._taken) + 3)))
            self._names[key] = next(name for name in tries if name not in self._taken)
            self._taken.add(self._names[key])
        return self._names[key]


class Parameters:
    """Collects the arrays of a header, each once.

    Args:
        dtype: the type of the arithmetic.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._names = Names()
        self._texts: dict[str, str] = {}

    def weight(self, target: str, value: Array) -> str:
        """Add a matrix (out, in), stored in the order of :func:`tiled`; return its name."""
        return self._array("weight", target, value.shape, value.shape, tiled(value))

    def constant(self, target: str, value: Array, shape: tuple[int, ...]) -> str:
        """Add a constant that is repeated to ``shape``; return its name."""
        # Drop leading axes of size 1, such as that of the samples.
        own = value.reshape(value.shape[max(0, value.ndim - len(shape)) :])
        return self._array("constant", target, value.shape, shape, np.broadcast_to(own, shape).ravel())

    def literal(self, value: Any) -> str:
        """Write a number in the type of the arithmetic."""
        return literal(self._dtype.type(value))

    def text(self) -> str:
        """Return the declarations of all arrays."""
        return "\n".join(self._texts.values())

    def _array(self, kind: str, target: str, own: tuple[int, ...], shape: tuple[int, ...], numbers: Array) -> str:
        """Add an array whose shape is ``own`` in the model and ``shape`` in the header; return its name."""
        name = self._names.of((kind, target, shape), "p", target)
        if name not in self._texts:
            rows = (numbers[k : k + NUMBERS_IN_A_LINE] for k in range(0, len(numbers), NUMBERS_IN_A_LINE))
            body = ",\n  ".join(", ".join(map(literal, row.astype(self._dtype))) for row in rows)
            held = "" if math.prod(own) == math.prod(shape) else f" repeated to {_by(shape)}"
            self._texts[name] = (
                f"// {kind} {_by(own)}{held} {in_comment(target)}\n"
                f"alignas(64) inline constexpr real {name}[{len(numbers)}] = {{\n  {body}}};"
            )
        return name


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def tiled(weight: Array) -> Array:
    """Return the numbers of a matrix (out, in) in tiles of outputs; within a tile they are ordered by input."""
    return np.concatenate([weight[start : start + width].T.ravel() for start, width in _tiles(len(weight))])


def untiled(numbers: Array, outputs: int, inputs: int) -> Array:
    """Return the matrix (out, in) from which :func:`tiled` made the numbers."""
    return np.concatenate(
        [
            numbers[start * inputs : (start + width) * inputs].reshape(inputs, width).T
            for start, width in _tiles(outputs)
        ]
    )


def _tiles(outputs: int) -> list[tuple[int, int]]:
    """Return the first output and the width of each tile."""
    found, start = [], 0
    for width in TILES:
        while outputs - start >= width:
            found.append((start, width))
            start += width
    return found


def literal(value: Any) -> str:
    """Write a number as a hexadecimal literal, which a compiler reads back exactly.

    C++ has no literals for infinity and NaN, so these are written as members of ``std::numeric_limits``. The sign and
    payload of a NaN are lost.
    """
    single = np.asarray(value).dtype == np.float32
    if not math.isfinite(value):
        name = "quiet_NaN" if math.isnan(value) else "infinity"
        return f"{'-' if value < 0 else ''}{LIMITS[bool(single)]}{name}()"
    mantissa, _, exponent = float(value).hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{exponent}{'f' if single else ''}"


def number(text: str) -> tuple[float, bool]:
    """Read a text that :func:`literal` wrote; return the number and whether it is a float32.

    Raises:
        ValueError: the text is not a number.
        OverflowError: the number is too large for a float64.
    """
    if text in _SPECIAL:
        return _SPECIAL[text]
    match = _LITERAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number")
    return float.fromhex(match[1]), match[2] == "f"


def in_comment(text: str) -> str:
    """Quote a text from a model file for a comment line: as JSON, which is ASCII and does not end in a backslash.

    It has no ``@``, because ``@name@`` marks the places that are filled in later.
    """
    return json.dumps(text).replace("@", r"\u0040")


def in_string(text: str) -> str:
    """Write a text as a C++ string literal; all bytes but letters, digits and blanks are octal escapes."""
    plain = frozenset(f"{string.ascii_letters}{string.digits} ".encode())
    return '"' + "".join(chr(c) if c in plain else f"\\{c:03o}" for c in text.encode()) + '"'
