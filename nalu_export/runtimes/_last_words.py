"""What a program said before it ended."""

import itertools
import os
from typing import IO

# Bytes at the beginning, at the end, and of what is given.
MOST = 4096


def last_words(errors: IO[bytes]) -> bytes:
    """The last line that a program wrote; of one in Rust what its first panic says, before pages of stack.

    Args:
        errors: what it wrote to stderr, a file that can be sought in.
    """
    size = errors.seek(0, os.SEEK_END)
    errors.seek(0)
    first = errors.read(MOST)
    errors.seek(max(len(first), size - MOST))
    lines = [line for line in (first + errors.read()).splitlines() if line.strip()]
    panics = [after for line, after in itertools.pairwise(lines) if b" panicked at " in line]
    found = [*panics[:1], *(line for line in reversed(lines) if not line.startswith(b"note: "))]
    return found[0][-MOST:] if found else b""
