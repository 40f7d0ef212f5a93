"""A file of the user's own code, run as a module, and its names where a pickle looks for them."""

import contextlib
import itertools
import os
import re
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from nalu_export.io.files import read_bytes

# What stands before the name of a module that was made of a file, so that it hides no other module.
NAMED = "nalu_export_file_"
_LOCK = threading.RLock()
# What was imported from the folder of the last file, for another file may mean another module by the same name.
_beside: dict[str, ModuleType] = {}


@contextlib.contextmanager
def importing_from(folder: str | None = None) -> Iterator[None]:
    """Search a folder first, as python does for its scripts; one thread at a time.

    The working directory is searched after it: a console script does not have it on its path.
    """
    with _LOCK:
        added = [os.getcwd()] if folder is None else [folder, os.getcwd()]
        before, compiled = dict(sys.modules), sys.dont_write_bytecode
        sys.path[:0] = added
        # Python takes a compiled file for the same where size and second are: not so where a user edits and runs again.
        sys.dont_write_bytecode = True
        try:
            yield
        finally:
            sys.dont_write_bytecode = compiled
            for entry in added:
                # User code may have changed the path as well.
                with contextlib.suppress(ValueError):
                    sys.path.remove(entry)
            if folder is not None:
                _beside.update(_imported_from(folder, before))


def _imported_from(folder: str, before: dict[str, ModuleType]) -> dict[str, ModuleType]:
    start = os.path.join(os.path.realpath(folder), "")
    found = {name: module for name, module in sys.modules.items() if before.get(name) is not module}
    return {
        name: module
        for name, module in found.items()
        if not name.startswith(NAMED) and os.path.realpath(getattr(module, "__file__", None) or "").startswith(start)
    }


def run_file(path: Path) -> ModuleType:
    """The module that a file of Python code makes; called within :func:`importing_from` its folder.

    It is run each time, as it is now: no compiled file is read or written. What it imports from its folder is
    imported anew, so that two files may each have a ``layers.py`` beside them.

    Raises:
        InputError: it cannot be read.
        BaseException: whatever the code raises.
    """
    data, place = read_bytes(path), str(path.absolute())
    module = ModuleType(_free_name(path.stem, place))
    module.__file__, module.__spec__ = place, ModuleSpec(module.__name__, None, origin=place)
    for other, imported in _beside.items():
        if sys.modules.get(other) is imported:
            del sys.modules[other]
    _beside.clear()
    # The arguments of this process are not for it.
    arguments, sys.argv = sys.argv, [place]
    sys.modules[module.__name__] = module
    try:
        exec(compile(data, place, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    finally:
        sys.argv = arguments
    return module


def _free_name(stem: str, place: str) -> str:
    """A name that only a module of the same file has, if any."""
    name = first = NAMED + re.sub(r"\W", "_", stem)
    for number in itertools.count(2):
        if name not in sys.modules or sys.modules[name].__file__ == place:
            break
        name = f"{first}_{number}"
    return name


@contextlib.contextmanager
def lent_to_main(module: ModuleType) -> Iterator[None]:
    """Put the names of a module where a pickle finds those of the script that saved it, and take them back."""
    absent = object()
    # multiprocessing knows it as __mp_main__ too, as a pickle of a spawned process does.
    main = vars(sys.modules["__main__"])
    names = {name: value for name, value in vars(module).items() if not (name[:2] == "__" == name[-2:])}
    before: dict[str, Any] = {name: main.get(name, absent) for name in names}
    main.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is absent:
                main.pop(name, None)
            else:
                main[name] = value
