"""Finds the plugins of a package: each public file or folder of ``formats``, ``runtimes`` and ``reports`` is one."""

import functools
import importlib
import os
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from nalu_export.errors import InputError


def plugin_names(path: Iterable[str], *, besides: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the sorted names of the plugins of a package, without importing any; ``_`` in a file name becomes ``-``.

    Args:
        path: ``__path__`` of the package.
        besides: names of modules in it that are not plugins, in addition to ``base`` and private modules.
    """
    others = {"base", *besides}
    found = sorted(name.replace("_", "-") for name in _modules(path) if name not in others and name[0] != "_")
    return tuple(found)


def load_plugin(package: str, kind: str, name: str, names: tuple[str, ...]) -> object:
    """Return the object that a plugin defines under the name of its kind in capitals, for example ``FORMAT``.

    A plugin that is a file defines it itself. A folder defines it in the module with the name of the kind, for example
    ``format.py``, so that other modules of the folder can be imported without that one.

    Args:
        package: name of the package that the plugin is in.
        kind: ``"format"``, ``"runtime"`` or ``"reporter"``.
        name: name of the plugin.
        names: names of all plugins of the package.

    Raises:
        InputError: there is no such plugin; the text lists ``names``.
    """
    if name not in names:
        raise InputError(f"{kind} is {name!r}; allowed: {', '.join(names)}")
    module = importlib.import_module(f"{package}.{name.replace('-', '_')}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{module.__name__}.{kind}")
    return getattr(module, kind.upper())


def plugin_part(path: Iterable[str], package: str, name: str, part: str) -> ModuleType | None:
    """Return one module of a plugin that is a folder; ``None`` if the plugin is a file or does not exist.

    Args:
        path: ``__path__`` of the package that the plugin is in.
        package: name of that package.
        name: name of the plugin.
        part: name of the module; importing it imports the folder's ``__init__`` and nothing else of the folder.
    """
    folder = name.replace("-", "_")
    if not _modules(path).get(folder):
        return None
    return importlib.import_module(f"{package}.{folder}.{part}")


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
