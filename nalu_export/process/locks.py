"""One thread at a time, where torch or Python keep what they are doing in state of the whole process.

``torch.fx`` replaces methods of ``nn.Module`` while it traces, and ``torch.export``, which ``torch.onnx.export`` begins
with, has one slot for its proxy mode. ``warnings.catch_warnings`` puts back the filters that it found, also those that
another thread has set since (CPython issue 128384). So all of them wait for one lock.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

TRACING = threading.RLock()
# Held by each call of the Python API, before any other lock: see :func:`nalu_export.io.keywords.public`.
RUNNING = threading.RLock()


@contextmanager
def own_warnings(*, ignored: bool = False) -> Iterator[None]:
    """Filters of warnings that are gone afterwards, and that no other thread of this package puts back meanwhile.

    Args:
        ignored: whether no warning is shown; without it they are for the caller to set.
    """
    with TRACING, warnings.catch_warnings():
        if ignored:
            warnings.simplefilter("ignore")
        yield
