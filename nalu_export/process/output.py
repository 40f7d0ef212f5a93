"""Handles a standard output whose reader has closed the pipe."""

import contextlib
import os
import sys


def discard_output() -> None:
    """Redirect standard output to the null device.

    Otherwise the interpreter fails at exit, when it flushes the rest, with a traceback and an exit code of its own.
    """
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
