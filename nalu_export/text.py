"""Text that any terminal, XML and JSON reader takes, whatever a file or its name holds."""

import json
import math
from typing import Any

MAX_TEXT = 60


def printable(text: str) -> str:
    """One line that a terminal shows as it is: names from a file may hold line feeds or escape sequences.

    What is left is also what XML 1.0 allows.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text.encode("utf-8", "backslashreplace").decode()
    )


def plain(name: str | bytes) -> str:
    """A name from a file, for an error text: as it is where that is one line, else with its characters escaped.

    protobuf gives bytes where a name is not UTF-8.
    """
    start = name[:MAX_TEXT]
    return start if isinstance(start, str) and start.isprintable() else ascii(start)


def short(value: Any) -> str:
    """A value from a file for an error text: one line of bounded length, whatever it is.

    Anything but a string, a small number or ``None`` is named by its type: a hostile container may be endless to print,
    a tensor takes several lines, and Python refuses to print an integer of more than 4300 digits.
    """
    if value is not None and type(value) not in (bool, float, str) and not (type(value) is int and abs(value) < 2**64):
        return f"a value of type {type(value).__name__}"
    text = repr(value if type(value) is not str else value[: MAX_TEXT + 1])
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def to_json(value: Any) -> str:
    """Indented JSON; a number that JSON does not know (NaN, infinity) is ``null``."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
