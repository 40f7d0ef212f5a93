"""Sees what Python itself reports of a reading that it should never do: run, connect, write, unpickle."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

# Events that no reading of a model has a reason for; https://docs.python.org/3/library/audit_events.html lists all.
FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.putenv",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.kill", "os.killpg", "os.utime", "os.setxattr", "shutil.", "subprocess.", "pty.", "socket.", "urllib.", "http.",
    "ftplib.", "smtplib.", "ssl.", "webbrowser.", "tempfile.", "pickle.find_class", "code.__new__",
    "sys.settrace", "sys.setprofile", "sys.addaudithook", "mmap.", "signal.pthread_kill", "sqlite3.", "glob.",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_INSTALLED = tuple(os.path.realpath(path) for path in {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix})
_INSTALLED += (os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))),)
_watching: list[list[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and _is_foul(event, arguments):
        _watching[-1].append(f"{event} {arguments!r:.300}")


def _is_foul(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        # mode is None where a descriptor was opened by os.open, which only has flags.
        _, mode, flags = arguments
        return any(letter in (mode or "") for letter in "wax+") or bool((flags or 0) & WRITING)
    if event == "import":
        return not _is_known(arguments[0])
    if event == "exec":
        return not _is_installed(arguments[0]) and not _is_graph(arguments[0])
    return event.startswith(FORBIDDEN)


def _is_known(module: str) -> bool:
    """Whether a module of this name is of Python, or of what this package needs."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in sys.modules


def _is_installed(code: object) -> bool:
    """Whether code comes from an installed file, as it does when a module is imported late."""
    file = code.co_filename if isinstance(code, CodeType) else ""
    return os.path.isabs(file) and os.path.realpath(file).startswith(_INSTALLED)


def _is_graph(code: object) -> bool:
    """Whether torch.fx wrote it, as it does for the graph of a model; what it does is seen by the other events."""
    return isinstance(code, CodeType) and code.co_filename.startswith("<eval_with_key>")


@contextmanager
def watched() -> Iterator[list[str]]:
    """The foul events within the context, as texts; empty where all is well."""
    events: list[str] = []
    _watching.append(events)
    try:
        yield events
    finally:
        _watching.remove(events)


sys.addaudithook(_hook)
