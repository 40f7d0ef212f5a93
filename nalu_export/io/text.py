"""Makes texts from untrusted files safe to show in a terminal, in XML and in JSON."""

import json
import math
import re
from typing import Any

MAX_TEXT = 60
# Invisible characters, with and without which two names look the same: the characters that Python calls printable among
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point, and the blank braille pattern.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_NOT_ASCII = re.compile("[^\n -~]")


def printable(text: str) -> str:
    """Return a text as one line that is safe in a terminal; a name from a file may hold line feeds or escape sequences.

    Control characters, line separators, characters that change the direction of writing, and invisible characters are
    escaped, also lone surrogates. All characters of the result are allowed in XML 1.0.
    """
    return "".join(
        character if _is_shown(character) else character.encode("unicode_escape").decode()
        for character in text.encode("utf-8", "backslashreplace").decode()
    )


def printable_lines(text: str) -> str:
    """Return :func:`printable` of each line of a text, and keep the line feeds."""
    return "\n".join(map(printable, text.split("\n")))


def _is_shown(character: str) -> bool:
    return character.isprintable() and not _BLANK.match(character)


def plain(name: str | bytes) -> str:
    """Return the first 60 characters of a name from a file, for an error text.

    If :func:`printable` would escape any of them, or the name is bytes, the result is that of :func:`ascii`: quoted and
    escaped. protobuf gives bytes for a name that is not UTF-8.
    """
    start = name[:MAX_TEXT]
    return start if isinstance(start, str) and all(map(_is_shown, start)) else ascii(start)


def short(value: Any) -> str:
    """Return any value from a file for an error text, as one short line: text of at most 60 characters, or a type.

    A value that is not a string, a small number or ``None`` is named by its type: a hostile container may take forever
    to print, a tensor takes several lines, and Python refuses to print an integer of more than 4300 digits.
    """
    if value is not None and type(value) not in (bool, float, str) and not (type(value) is int and abs(value) < 2**64):
        return f"a value of type {type(value).__name__}"
    text = printable(repr(value if type(value) is not str else value[: MAX_TEXT + 1]))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def to_json(value: Any) -> str:
    """Return a value as indented JSON; NaN and infinities, which JSON does not have, become ``null``."""
    return visible_json(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def visible_json(text: str) -> str:
    r"""Return a JSON text in which the characters that :func:`printable` escapes are written as ``\uXXXX``.

    JSON is shown in terminals too. ``json.dumps(…, ensure_ascii=False)`` does not escape U+007F and above, not even
    lone surrogates.
    """
    return _NOT_ASCII.sub(lambda found: found[0] if _is_shown(found[0]) else json.dumps(found[0])[1:-1], text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def in_memory(format_name: str) -> str:
    """Return how errors and reports call an artifact that has no path."""
    return f"{format_name} in memory"
