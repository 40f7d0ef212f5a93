"""The records of the primitives: each public file here defines ``PRIMITIVES``, a tuple of records."""

from collections.abc import Iterator
from typing import cast

from nalu_export.io.discovery import load_plugin, plugin_names
from nalu_export.primitives.record import Primitive


def records() -> Iterator[Primitive]:
    """Yield the records of every file."""
    files = plugin_names(__path__)
    for file in files:
        yield from cast("tuple[Primitive, ...]", load_plugin(__name__, "primitives", file, files))
