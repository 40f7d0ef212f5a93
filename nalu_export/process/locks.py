"""A lock for operations of torch and Python that change state of the whole process.

``torch.fx`` replaces methods of ``nn.Module`` while it traces. ``torch.export``, which ``torch.onnx.export`` starts
with, has one slot for its proxy mode. ``warnings.catch_warnings`` restores the filters that it found, and so undoes
changes that another thread made since (CPython issue 128384). So all of these wait for one lock.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

TRACING = threading.RLock()
# Every call of a function with nalu_export.io.keywords.public holds it, except that of sweep, and takes it before any
# other lock.
RUNNING = threading.RLock()


@contextmanager
def own_warnings(*, ignored: bool = False) -> Iterator[None]:
    """Restore the warning filters on exit, and let no other thread of this package change them meanwhile.

    Args:
        ignored: whether to ignore all warnings; otherwise the caller sets the filters.
    """
    with TRACING, warnings.catch_warnings():
        if ignored:
            warnings.simplefilter("ignore")
        yield
