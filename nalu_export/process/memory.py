"""How much memory is free, and how much of it a command may take."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from nalu_export.errors import InputError, at_command_line

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([KMGT]?I?)B?", re.IGNORECASE | re.ASCII)
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_ALLOWED: ContextVar[int | None] = ContextVar("allowed", default=None)


def parse_size(text: str) -> int:
    """Return the number of bytes in a text such as ``"500MB"``, ``"2GiB"``, ``"1.5G"`` or ``"1000000"``.

    Raises:
        InputError: the text is not a size, or the size is 0.
    """
    match = _SIZE.fullmatch(text.strip())
    size = 0 if match is None else int(float(match[1]) * UNITS[match[2].upper()])
    if not size:
        raise InputError(f"{text!r} is not a memory size; write 2GiB, 500MB or a number of bytes")
    return size


def free() -> int | None:
    """Return the bytes that are free without swapping, also in a container; ``None`` if the system does not tell."""
    found = [_available(), *(_left(*files) for files in _CGROUPS)]
    return min((size for size in found if size is not None), default=None)


def _available() -> int | None:
    match = re.search(r"^MemAvailable:\s+(\d+) kB$", _text("/proc/meminfo"), re.MULTILINE)
    if match is not None:
        return 1024 * int(match[1])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _left(limit: str, used: str) -> int | None:
    sizes = [_text(limit).strip(), _text(used).strip()]
    return max(int(sizes[0]) - int(sizes[1]), 0) if all(map(str.isdecimal, sizes)) else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


@contextmanager
def allowing(size: int | None) -> Iterator[None]:
    """Make :func:`allowed` return ``size`` while this is active; ``None`` leaves it as it is."""
    token = _ALLOWED.set(_ALLOWED.get() if size is None else size)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def allowed() -> int | None:
    """Return the bytes that may be taken: the size of :func:`allowing`, else half of the free memory, else ``None``."""
    limit = _ALLOWED.get()
    available = free() if limit is None else None
    return limit if available is None else available // 2


def more_may_be_taken() -> str:
    """Return the end of a refusal, which names the option that sets the limit; empty in Python, which has none."""
    return at_command_line(", or set a higher limit with --max-memory")


def confine(size: int | None) -> None:
    """Limit this process to ``size`` more bytes of writable memory than it has now.

    A request for more memory then fails with an error, instead of the system killing this or another process. Only
    Linux can do that (RLIMIT_DATA, since 4.7); elsewhere, or if the free memory is not known, nothing is limited.

    Args:
        size: bytes; ``None`` for half of the free memory.
    """
    size = size if size is not None else (free() or 0) // 2
    if sys.platform != "linux" or not size:
        return
    import resource

    match = re.search(r"^VmData:\s+(\d+) kB$", _text("/proc/self/status"), re.MULTILINE)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = size + 1024 * int(match[1] if match else 0)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))
