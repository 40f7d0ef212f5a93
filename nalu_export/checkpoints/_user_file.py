"""Runs a file of the user's own code as a module, and puts its names where a pickle looks for them."""

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

# Prefix of the name of a module that is made from a file, so that the module hides no other.
NAMED = "nalu_export_file_"
_LOCK = threading.RLock()
# Modules that were imported from the folder of the last file. Another file may mean another module by the same name.
_beside: dict[str, ModuleType] = {}


@contextlib.contextmanager
def importing_from(folder: str | None = None) -> Iterator[None]:
    """Search a folder first when importing, as python does for a script; one thread at a time.

    The working directory is searched next, because a console script does not have it on its path.
    """
    with _LOCK:
        added = [os.getcwd()] if folder is None else [folder, os.getcwd()]
        before, compiled = dict(sys.modules), sys.dont_write_bytecode
        sys.path[:0] = added
        # Python takes a compiled file as current if the source has the same size and modification second. Both may stay
        # the same when a user edits a file and runs it again.
        sys.dont_write_bytecode = True
        try:
            yield
        finally:
            sys.dont_write_bytecode = compiled
            for entry in added:
                # User code may have removed the entry.
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
    """Run a file of Python code and return its module; called within :func:`importing_from` of its folder.

    The file is run at each call, in its current state: no compiled file is read or written. Modules in its folder are
    imported again, so that two files may each have another ``layers.py`` beside them.

    Raises:
        InputError: the file cannot be read.
        BaseException: any error of the code.
    """
    data, place = read_bytes(path), str(path.absolute())
    module = ModuleType(_free_name(path.stem, place))
    module.__file__, module.__spec__ = place, ModuleSpec(module.__name__, None, origin=place)
    for other, imported in _beside.items():
        if sys.modules.get(other) is imported:
            del sys.modules[other]
    _beside.clear()
    # The command line of this process is not for the user's code.
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
    """Return a module name that no module of another file has."""
    name = first = NAMED + re.sub(r"\W", "_", stem)
    for number in itertools.count(2):
        if name not in sys.modules or sys.modules[name].__file__ == place:
            break
        name = f"{first}_{number}"
    return name


@contextlib.contextmanager
def lent_to_main(module: ModuleType) -> Iterator[None]:
    """Put the names of a module into ``__main__``, where a pickle looks for names of the script that saved it.

    The names are removed again on leaving.
    """
    absent = object()
    # multiprocessing, and a pickle of a spawned process, know the same module as __mp_main__.
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
