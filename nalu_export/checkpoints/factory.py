"""Builds a module from the user's own code: a model for the weights of a file, or the CNN before a head."""

import contextlib
import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from nalu_export.checkpoints._user_file import importing_from, lent_to_main, run_file
from nalu_export.checkpoints.fitting import some
from nalu_export.errors import InputError, first_line, option
from nalu_export.io.text import printable

Factory = nn.Module | Callable[[], nn.Module] | str | os.PathLike[str]
EXPECTED = "expected FILE.py:NAME or package.module:NAME"
_MAX_SIGNATURE = 200


def from_factory(factory: Factory, argument: str = "model") -> nn.Module:
    """Return the module of a factory.

    Args:
        factory: a module, a class or function that needs no argument, or the name of one of these: ``"net.py:build"``,
            ``"package.module:build"``, or ``"net.py"`` for the only class of modules in it.
        argument: name of the argument that the factory was given with, for the text of an error.

    Raises:
        InputError: there is no such file or name, the code raises an error, or the result is not a module.
    """
    return UserCode(factory, argument).build()


class UserCode:
    """The user's code behind a factory. A file is run once, when it is first needed.

    Attributes:
        file: path of the file, if the factory names a file.
        name: name in the file or module; ``""`` if the factory is the name of a file only.
    """

    def __init__(self, factory: Factory, argument: str = "model") -> None:
        self._argument = argument
        self._made = None if isinstance(factory, (str, os.PathLike)) else factory
        self._text = os.fspath(factory) if isinstance(factory, (str, os.PathLike)) else _name_of(factory)
        self.file: Path | None = None
        self.name = self._place = ""
        if self._made is None:
            self._parse()

    def _parse(self) -> None:
        place, _, name = self._text.rpartition(":")
        if self._text.endswith((".py", ".ipynb")) or not place:
            place, name = self._text, ""
        # The path of a file may have a colon (a drive, a folder). The name of a module has no path separator.
        if place.endswith((".py", ".ipynb")) or os.sep in place:
            self.file = Path(place).expanduser()
        if not place or not (name or self.file):
            raise InputError(f"{option(self._argument)} is {self._text!r}; {EXPECTED}")
        if place.endswith(".ipynb"):
            raise self._error("is a notebook; save its code as a .py file first")
        if self.file is not None and not self.file.exists():
            raise self._error("there is no such file" + ("" if self.file.is_absolute() else f" in {os.getcwd()}"))
        self._place, self.name = place, name

    @property
    def is_file_alone(self) -> bool:
        """Whether the factory names a file and nothing in it."""
        return self.file is not None and not self.name

    def build(self) -> nn.Module:
        """Return the module; see :func:`from_factory`."""
        with self._told():
            made: Any = self._found() if self._made is None else self._made
            if not isinstance(made, nn.Module):
                self._refuse_arguments(made)
                made = made()
        if not isinstance(made, nn.Module):
            raise self._error(f"returns a {type(made).__name__}; expected a torch.nn.Module")
        return made

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Within this context, a pickle finds the names of the file as those of the script that saved it."""
        with self._told():
            module = None if self.file is None else self._module
        with self._importing(), contextlib.nullcontext() if module is None else lent_to_main(module):
            yield

    @cached_property
    def _module(self) -> ModuleType:
        with self._importing():
            return importlib.import_module(self._place) if self.file is None else run_file(self.file)

    def _importing(self) -> contextlib.AbstractContextManager[None]:
        return importing_from(None if self.file is None else str(self.file.absolute().parent))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn any error of the user's code into one line that shows the error."""
        try:
            with self._importing():
                yield
        except _OwnError:
            raise
        except InputError as error:
            raise self._error(str(error)) from error
        except SystemExit as error:
            why = f"ends the program (SystemExit: {error.code}); put code that trains under if __name__ == '__main__'"
            raise self._error(why) from error
        except Exception as error:
            why = printable(f"{type(error).__name__}: {first_line(error)[:200]}")
            raise self._error(f"{why}{self._line(error)}{_hint(error)}") from error

    def _line(self, error: BaseException) -> str:
        """Return the line of the user's file that raised the error; a SyntaxError has its line in its own text."""
        trace, line = error.__traceback__, 0
        here = None if self.file is None else str(self.file.absolute())
        while trace is not None:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == here else line
            trace = trace.tb_next
        return f" ({self.file}, line {line})" if line else ""

    def _found(self) -> Any:
        found: Any = self._module
        if not self.name:
            return self._only()
        for part in self.name.split("."):
            if not hasattr(found, part):
                raise self._error(f"{self._place} has no {self.name!r}{self._there()}")
            found = getattr(found, part)
        return found

    def _only(self) -> Any:
        """Return the only module, or class of modules, of a file."""
        modules = [name for name in _names(self._module) if _is_module(vars(self._module)[name])]
        if len(modules) == 1:
            self.name = modules[0]
            return vars(self._module)[self.name]
        if modules:
            raise self._error(f"has {some(modules)}; say which: {self._text}:{modules[-1]}")
        raise self._error(
            f"has no subclass of torch.nn.Module; name a function that builds one, {self._text}:NAME{self._there()}"
        )

    def _there(self) -> str:
        names = _names(self._module)
        return f"; it has {some(names)}" if names else ""

    def _refuse_arguments(self, made: Any) -> None:
        if not callable(made):
            raise self._error(
                f"is a value of type {type(made).__name__}, which is neither a torch.nn.Module nor a function "
                "that builds one"
            )
        try:
            signature = inspect.signature(made)
        except (TypeError, ValueError):
            return  # some functions in C have no signature; a call shows what they need
        free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [item for item in signature.parameters.values() if item.kind not in free]
        if any(item.default is inspect.Parameter.empty for item in needed):
            text = printable(f"{_name_of(made)}{signature}"[:_MAX_SIGNATURE])
            raise self._error(f"needs arguments: {text}; give a function that needs none")

    def _error(self, why: str) -> InputError:
        # A module, class or function has no text that could be given again.
        given = option(self._argument, self._text) if self._made is None else f"{option(self._argument)} {self._text}"
        return _OwnError(f"{given}: {why}")


class _OwnError(InputError):
    """An error whose text already has the option and its value."""


def _name_of(made: Any) -> str:
    return str(getattr(made, "__name__", type(made).__name__))


def _is_module(value: Any) -> bool:
    return isinstance(value, nn.Module) or (isinstance(value, type) and issubclass(value, nn.Module))


def _names(module: ModuleType) -> list[str]:
    """Return the public names that a module itself defines and that can build a model: modules, classes, functions."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (isinstance(value, nn.Module) or getattr(value, "__module__", None) == module.__name__)
        and (_is_module(value) or inspect.isfunction(value))
    ]


def _hint(error: BaseException) -> str:
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return "; name it package.module:NAME from the folder above the package"
    return ""
