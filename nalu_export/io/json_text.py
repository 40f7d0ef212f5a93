"""Parses JSON from untrusted files, and refuses nesting deeper than anything that this package or torch writes."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

# Enough for every description of a model (64 modules inside one another), and far below Python's recursion limit.
MAX_DEPTH = 200
_QUOTES_AND_BRACKETS = b'"[]{}'
_OTHER_BYTES = bytes(set(range(256)) - set(_QUOTES_AND_BRACKETS))


class NestedError(ValueError):
    """A JSON text is nested too deep; the error text is the end of a sentence that begins with the name of the text."""


def parse(text: str | bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the value of a JSON text, which may be untrusted.

    Args:
        text: the JSON text; bytes are UTF-8, with or without a byte order mark.
        pairs: ``object_pairs_hook`` of :func:`json.loads`.

    Raises:
        NestedError: more than 200 arrays and objects are inside one another; the text was not parsed.
        ValueError: the text is not JSON, or not UTF-8.
    """
    if isinstance(text, bytes):
        # The codec utf-8-sig would do the same, but Python imports it at its first use, and reading imports nothing.
        text = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    if _depth(text) > MAX_DEPTH:
        raise NestedError(f"nests its values deeper than {MAX_DEPTH}")
    return json.loads(text, object_pairs_hook=pairs)


def _depth(text: str) -> int:
    """Return how many brackets outside strings are open at once at most; 0 if there are too few to be too deep.

    The number is right for JSON only. A few vectorised passes count ten million brackets in less time than parsing
    takes.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    encoded = text.encode("utf-8", "surrogatepass").replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(encoded.translate(None, _OTHER_BYTES).split(b'"')[::2])
    # Bit 1 is set in [ and {, and clear in ] and }.
    steps = (np.frombuffer(brackets, np.uint8) & 2).astype(np.int8) - np.int8(1)
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))
