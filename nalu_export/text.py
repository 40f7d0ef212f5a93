"""Text that any terminal, XML and JSON reader takes, whatever a file or its name holds."""

import json
import math
from typing import Any


def printable(text: str) -> str:
    """One line that a terminal shows as it is: names from a file may hold line feeds or escape sequences.

    What is left is also what XML 1.0 allows.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text.encode("utf-8", "backslashreplace").decode()
    )


def to_json(value: Any) -> str:
    """Indented JSON; a number that JSON does not know (NaN, infinity) is ``null``."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
