"""Finds formats, runtimes and reports: each public file or folder of theirs is one; adding one touches nothing else."""

import functools
import importlib
import os
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from nalu_export.errors import InputError


def plugin_names(path: Iterable[str], *, besides: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the plugins in a package's ``__path__``, without importing any; files spell ``-`` as ``_``.

    Args:
        path: the folders.
        besides: what stands there and is none, with ``base`` and whatever begins with an underscore.
    """
    others = {"base", *besides}
    found = sorted(name.replace("_", "-") for name in _modules(path) if name not in others and name[0] != "_")
    return tuple(found)


def load_plugin(package: str, kind: str, name: str, names: tuple[str, ...]) -> object:
    """The object that a plugin defines under the upper-case name of its kind: ``FORMAT``.

    A file defines it itself, a folder in the module that is called as its kind: ``format.py``. So a folder can be
    imported, for what else is in it, without that module.

    Raises:
        InputError: there is no such plugin; the text lists those there are.
    """
    if name not in names:
        raise InputError(f"{kind} is {name!r}; allowed: {', '.join(names)}")
    module = importlib.import_module(f"{package}.{name.replace('-', '_')}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{module.__name__}.{kind}")
    return getattr(module, kind.upper())


def plugin_part(path: Iterable[str], package: str, name: str, part: str) -> ModuleType | None:
    """One module of a plugin that is a folder; ``None`` for a plugin that is a file, and for one that is not there.

    Args:
        path: the folders with plugins.
        package: that they are in.
        name: of the plugin.
        part: name of the module; importing it imports the folder's ``__init__`` and nothing else of it.
    """
    own = name.replace("-", "_")
    if not _modules(path).get(own, False):
        return None
    return importlib.import_module(f"{package}.{own}.{part}")


def _modules(path: Iterable[str]) -> dict[str, bool]:
    """Return the names of what can be imported from some folders, each with whether it is a folder itself."""
    folders = tuple(path)
    return _listed(folders, tuple(map(_changed, folders)))


def _changed(folder: str) -> int:
    """Return when a folder was changed; 0 where that is not known, as in a zip archive."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


# An export asks ten times, and looking into the folders takes a millisecond.
@functools.lru_cache
def _listed(folders: tuple[str, ...], changed: tuple[int, ...]) -> dict[str, bool]:
    del changed  # a key of the cache
    return {module.name: module.ispkg for module in pkgutil.iter_modules(folders)}
