"""The last error text of a program that ended."""

import itertools
import os
from typing import IO

# Bytes that are read at the beginning and at the end, and that are returned at most.
MOST = 4096


def stderr_tail(errors: IO[bytes]) -> bytes:
    """Return the last line that a program wrote; for a Rust program the text of its first panic, before the backtrace.

    Args:
        errors: the program's stderr, a seekable file.
    """
    size = errors.seek(0, os.SEEK_END)
    errors.seek(0)
    first = errors.read(MOST)
    errors.seek(max(len(first), size - MOST))
    lines = [line for line in (first + errors.read()).splitlines() if line.strip()]
    panics = [after for line, after in itertools.pairwise(lines) if b" panicked at " in line]
    found = [*panics[:1], *(line for line in reversed(lines) if not line.startswith(b"note: "))]
    return found[0][-MOST:] if found else b""
