"""A file more in a folder whose files the package finds: formats, runtimes, reports, layouts, findings."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest.mock import patch


@contextmanager
def one_more(package: ModuleType, name: str, text: str, folder: Path) -> Iterator[None]:
    """The file is found as if it were in the folder of the package.

    Args:
        package: which finds its files.
        name: of the file, without its suffix.
        text: of the file.
        folder: where the file really is; it is made.
    """
    folder.mkdir()
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    with patch.object(package, "__path__", [*package.__path__, str(folder)]):
        try:
            yield
        finally:
            sys.modules.pop(f"{package.__name__}.{name}", None)
            vars(package).pop(name, None)


@contextmanager
def read_anew(module: str) -> Iterator[Callable[[], ModuleType]]:
    """Give what imports a module anew, because it read the names of a package's files when it was imported."""
    found = importlib.import_module(module)
    try:
        yield lambda: importlib.reload(found)
    finally:
        importlib.reload(found)
