"""A small PNG writer that returns data URIs."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

Rgba = tuple[int, int, int, int]


def data_uri(pixels: NDArray[np.uint8], palette: Sequence[Rgba] = ()) -> Markup:
    """Return a picture as a PNG data URI.

    Args:
        pixels: ``(height, width)``; indices into the palette, or shades of grey if there is none.
        palette: its colours.
    """
    height, width = pixels.shape
    kind = 3 if palette else 0
    lines = np.hstack([np.zeros((height, 1), np.uint8), pixels])  # filter 0 before each line
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    if palette:
        data += _chunk(b"PLTE", bytes(part for colour in palette for part in colour[:3]))
        data += _chunk(b"tRNS", bytes(colour[3] for colour in palette))
    data += _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + _chunk(b"IEND", b"")
    # Base64 contains no character that is markup in HTML.
    return Markup("data:image/png;base64," + base64.b64encode(data).decode())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
