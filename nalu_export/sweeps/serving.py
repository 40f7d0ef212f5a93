"""A worker process: takes checkpoints from its parent, one at a time, and answers what became of each.

It imports torch once. It has one thread for its arithmetic, and no more memory than it is allowed.
"""

import contextlib
import gc
import os
import signal
import sys
from multiprocessing.connection import Connection

from nalu_export.sweeps.task import Limits, Task

READY = "ready"
# The worker dies with its parent: PR_SET_PDEATHSIG of prctl(2).
_DEATH_SIGNAL = 1


def serve(descriptor: int, parent: int) -> None:
    """Answer until the parent closes its end.

    Args:
        descriptor: socket to the parent.
        parent: id of its process.
    """
    _die_with(parent)
    # Ctrl-C is for the parent, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(descriptor) as connection, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        limits: Limits
        quiet: bool
        limits, quiet = connection.recv()
        gc.disable()
        import torch

        torch.set_num_threads(1)
        from nalu_export.process.memory import allowing, confine
        from nalu_export.sweeps.running import run

        _keep_imports()
        if limits.memory is not None and limits.enforced:
            confine(limits.memory)
        if quiet:
            _discard_output()
        connection.send(READY)
        first = True
        with allowing(limits.memory):
            while True:
                task: Task = connection.recv()
                connection.send(run(task))
                if first:  # which imports what is only needed then, such as a runtime
                    _keep_imports()
                    first = False


def _keep_imports() -> None:
    """Keep what was imported out of the sight of the garbage collector, which takes 8 % of an export otherwise."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _discard_output() -> None:
    """Send what code of a model prints to the null device: it would write over the progress bar."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)
