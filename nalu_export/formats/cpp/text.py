"""Names, numbers and arrays of a header: text that any C++ compiler takes, whatever a file called its layers."""

import json
import math
import re
import string
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
# Outputs of the tiles in which weights are stored; each_tile of the kernels goes by the same.
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


class Names:
    """Identifiers, a different one for each thing that has one."""

    def __init__(self) -> None:
        self._names: dict[Hashable, str] = {}
        self._taken: set[str] = set()

    def of(self, key: Hashable, prefix: str, text: str) -> str:
        """The name of ``key``: the letters and digits of ``text``, after a prefix that keeps it off keywords."""
        if key not in self._names:
            stem = f"{prefix}_{_NOT_IN_A_NAME.sub('_', text).strip('_')}".rstrip("_")
            tries = (stem, *(f"{stem}_{number}" for number in range(2, len(self._taken) + 3)))
            self._names[key] = next(name for name in tries if name not in self._taken)
            self._taken.add(self._names[key])
        return self._names[key]


class Parameters:
    """The arrays of a header, each once.

    Args:
        dtype: the type that computes.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._names = Names()
        self._texts: dict[str, str] = {}

    def weight(self, target: str, value: Array) -> str:
        """Name of a matrix (out, in), stored as :func:`tiled` puts it in order."""
        return self._array("weight", target, value.shape, value.shape, tiled(value))

    def constant(self, target: str, value: Array, shape: tuple[int, ...]) -> str:
        """Name of a constant that is repeated to ``shape``."""
        # Axes of 1 before those of a sample, the one of the samples among them, repeat nothing.
        own = value.reshape(value.shape[max(0, value.ndim - len(shape)) :])
        return self._array("constant", target, value.shape, shape, np.broadcast_to(own, shape).ravel())

    def literal(self, value: Any) -> str:
        """A number in the type that computes."""
        return literal(self._dtype.type(value))

    def text(self) -> str:
        """All arrays."""
        return "\n".join(self._texts.values())

    def _array(self, kind: str, target: str, own: tuple[int, ...], shape: tuple[int, ...], numbers: Array) -> str:
        """Name of an array whose shape in the model is ``own`` and which is held in ``shape``."""
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
    """A matrix (out, in) tile by tile of its outputs, in each tile input by input."""
    return np.concatenate([weight[start : start + width].T.ravel() for start, width in _tiles(len(weight))])


def untiled(numbers: Array, outputs: int, inputs: int) -> Array:
    """The inverse of :func:`tiled`."""
    return np.concatenate(
        [
            numbers[start * inputs : (start + width) * inputs].reshape(inputs, width).T
            for start, width in _tiles(outputs)
        ]
    )


def _tiles(outputs: int) -> list[tuple[int, int]]:
    """First output and width of each tile."""
    found, start = [], 0
    for width in TILES:
        while outputs - start >= width:
            found.append((start, width))
            start += width
    return found


def literal(value: Any) -> str:
    """A number that is the same when it is read again: hexadecimal, with no digit too many or too few.

    C++ has no literal for infinity and NaN; of a NaN nothing is kept but that it is one.
    """
    single = np.asarray(value).dtype == np.float32
    if not math.isfinite(value):
        name = "quiet_NaN" if math.isnan(value) else "infinity"
        return f"{'-' if value < 0 else ''}{LIMITS[bool(single)]}{name}()"
    mantissa, _, exponent = float(value).hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{exponent}{'f' if single else ''}"


def number(text: str) -> tuple[float, bool]:
    """The inverse of :func:`literal`: the number, and whether it is a float32.

    Raises:
        ValueError: it is none.
        OverflowError: it is larger than a float64.
    """
    if text in _SPECIAL:
        return _SPECIAL[text]
    match = _LITERAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no number")
    return float.fromhex(match[1]), match[2] == "f"


def in_comment(text: str) -> str:
    """A text from a file as one line of a comment: JSON, which is ASCII here and does not end in a backslash.

    It has no ``@`` either, which marks what is still to be filled in.
    """
    return json.dumps(text).replace("@", r"\u0040")


def in_string(text: str) -> str:
    """A text as a C++ string literal; every character but letters, digits and blanks is an octal escape."""
    plain = frozenset(f"{string.ascii_letters}{string.digits} ".encode())
    return '"' + "".join(chr(c) if c in plain else f"\\{c:03o}" for c in text.encode()) + '"'
