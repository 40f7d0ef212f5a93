"""Text that any terminal, XML and JSON reader takes, whatever a file or its name holds."""

import json
import math
import re
from typing import Any

MAX_TEXT = 60
# Letters, marks and symbols that show nothing, so that two names with and without one look the same: what of
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point Python takes for printable, and the empty braille.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_NOT_ASCII = re.compile("[^\n -~]")


def printable(text: str) -> str:
    """One line that a terminal shows as it is: names from a file may hold line feeds or escape sequences.

    Escaped are control characters, line separators, what changes the direction of writing, and what shows nothing.
    What is left is also what XML 1.0 allows.
    """
    return "".join(
        character if _is_shown(character) else character.encode("unicode_escape").decode()
        for character in text.encode("utf-8", "backslashreplace").decode()
    )


def printable_lines(text: str) -> str:
    """The same of a text whose line feeds are meant."""
    return "\n".join(map(printable, text.split("\n")))


def _is_shown(character: str) -> bool:
    return character.isprintable() and not _BLANK.match(character)


def plain(name: str | bytes) -> str:
    """A name from a file, for an error text: as it is where that is one line, else with its characters escaped.

    protobuf gives bytes where a name is not UTF-8.
    """
    start = name[:MAX_TEXT]
    return start if isinstance(start, str) and all(map(_is_shown, start)) else ascii(start)


def short(value: Any) -> str:
    """A value from a file for an error text: one line of bounded length, whatever it is.

    Anything but a string, a small number or ``None`` is named by its type: a hostile container may be endless to print,
    a tensor takes several lines, and Python refuses to print an integer of more than 4300 digits.
    """
    if value is not None and type(value) not in (bool, float, str) and not (type(value) is int and abs(value) < 2**64):
        return f"a value of type {type(value).__name__}"
    text = printable(repr(value if type(value) is not str else value[: MAX_TEXT + 1]))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def to_json(value: Any) -> str:
    """Indented JSON; a number that JSON does not know (NaN, infinity) is ``null``."""
    return visible_json(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def visible_json(text: str) -> str:
    r"""The same JSON with every character as ``\uXXXX`` that :func:`printable` escapes; others stay letters.

    It is in a terminal too, and ``json`` writes U+007F and what lies above as it is, lone surrogates included.
    """
    return _NOT_ASCII.sub(lambda found: found[0] if _is_shown(found[0]) else json.dumps(found[0])[1:-1], text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
