"""Finds formats, runtimes and reports: each public file or folder of theirs is one; adding one touches nothing else."""

import importlib
import pkgutil
from collections.abc import Iterable

from nalu_export.errors import InputError


def plugin_names(path: Iterable[str], *, besides: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the plugins in a package's ``__path__``, without importing any; files spell ``-`` as ``_``.

    Args:
        path: the folders.
        besides: what stands there and is none, with ``base`` and whatever begins with an underscore.
    """
    others = {"base", *besides}
    found = (module.name for module in pkgutil.iter_modules(path))
    return tuple(sorted(name.replace("_", "-") for name in found if name not in others and name[0] != "_"))


def load_plugin(package: str, kind: str, name: str, names: tuple[str, ...]) -> object:
    """The object that the plugin's file or folder defines under the upper-case name of its kind.

    Raises:
        InputError: there is no such plugin; the text lists those there are.
    """
    if name not in names:
        raise InputError(f"{kind} is {name!r}; allowed: {', '.join(names)}")
    return getattr(importlib.import_module(f"{package}.{name.replace('-', '_')}"), kind.upper())
