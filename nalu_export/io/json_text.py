"""JSON from a file of somebody else: no deeper than anything that this package or torch writes."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

# Deep enough for every description of a model (64 layers in layers, each in its place), and shallow for any recursion.
MAX_DEPTH = 200
_KEPT = b'"[]{}'
_OTHERS = bytes(set(range(256)) - set(_KEPT))


class NestedError(ValueError):
    """A text nests its values too deep; the text of the error goes behind the name of what does."""


def parse(text: str | bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON text, which may come from anyone.

    Args:
        text: in UTF-8 where it is bytes, with or without a mark of that at its start.
        pairs: makes an object of its names and values, as ``object_pairs_hook`` of :func:`json.loads`.

    Raises:
        NestedError: it has more than 200 arrays and objects in one another; it was not parsed.
        ValueError: it is no JSON.
    """
    if isinstance(text, bytes):
        # Not by the codec utf-8-sig, which Python imports when it is first used: reading a file imports nothing.
        text = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    if _depth(text) > MAX_DEPTH:
        raise NestedError(f"nests its values deeper than {MAX_DEPTH}")
    return json.loads(text, object_pairs_hook=pairs)


def _depth(text: str) -> int:
    """The most brackets that are open at once, without those in texts; of what is no JSON any number.

    Counted in a few passes of C: a text of ten million brackets takes less time here than its values take to make.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    encoded = text.encode("utf-8", "surrogatepass").replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(encoded.translate(None, _OTHERS).split(b'"')[::2])
    # Of [ and { the second bit is set, of ] and } it is not.
    steps = (np.frombuffer(brackets, np.uint8) & 2).astype(np.int8) - np.int8(1)
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))
