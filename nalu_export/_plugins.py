"""Finds formats and runtimes: each public file of their folder is one, so adding one touches nothing else."""

import importlib
import pkgutil
from collections.abc import Iterable

from nalu_export.errors import InputError


def plugin_names(path: Iterable[str]) -> tuple[str, ...]:
    """Names of the plugins in a package's ``__path__``, without importing any; files spell ``-`` as ``_``."""
    found = (module.name for module in pkgutil.iter_modules(path))
    return tuple(sorted(name.replace("_", "-") for name in found if name != "base" and name[0] != "_"))


def load_plugin(package: str, kind: str, name: str, names: tuple[str, ...]) -> object:
    """The object that the plugin's file defines under the upper-case name of its kind.

    Raises:
        InputError: there is no such plugin; the text lists those there are.
    """
    if name not in names:
        raise InputError(f"{kind} is {name!r}; allowed: {', '.join(names)}")
    return getattr(importlib.import_module(f"{package}.{name.replace('-', '_')}"), kind.upper())
