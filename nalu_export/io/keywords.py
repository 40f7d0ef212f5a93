"""What every public function of the Python API has: shown and checked arguments, errors in its terms, one at a time."""

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar, cast

from nalu_export.errors import InputError, NaluExportError
from nalu_export.process.locks import RUNNING

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_FLAGS: ContextVar[bool] = ContextVar("_FLAGS", default=False)
# What stands for a value behind a flag in an error's text.
_VALUE = r"(?: (PATH|NAME|OWNER:UNIT|FILE\.py:NAME|FILE\.py|H W)\b)?"
_FLAG = re.compile(rf"(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*){_VALUE}")
# Flags without a value whose bare name would be an ordinary word of the sentence.
_SWITCHES = ("trust", "strict")


def public(*holders: type[Any], more: Callable[[], Iterable["Field[Any]"]] = tuple) -> Callable[[F], F]:
    """Complete a public function whose last parameter is ``**options``.

    Calls in several threads run one after the other: torch has one number of threads, one generator of random numbers
    and one tracer for a whole process, and a result must not depend on what else runs.

    ``help()`` and ``inspect.signature`` show what it takes with defaults. A wrong name ends in one line with the
    nearest right one. Errors, whose texts name flags of the command line, name Python arguments instead:
    ``input_size`` for ``--input-size``. Inside :func:`flags_in_errors` they stay as they are.

    Args:
        holders: dataclasses whose fields are keyword arguments; of two with one name the first counts.
        more: gives more such fields, whatever there is when the function is called.
    """

    def completed(function: F) -> F:
        own = inspect.signature(function)
        taken = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        held = [each for holder in holders for each in fields(holder)]

        def passed() -> dict[str, inspect.Parameter]:
            # A field that is set by another is no argument.
            found = {each.name: _parameter(each) for each in (*held, *more()) if each.init}
            return {name: each for name, each in found.items() if name not in own.parameters}

        @functools.wraps(function)
        def called(*args: Any, **options: Any) -> Any:
            __tracebackhide__ = True
            by_name = [each.name for each in taken if each.kind is not inspect.Parameter.POSITIONAL_ONLY]
            known = [*by_name, *passed()]
            for name in options:
                if name not in known:
                    raise InputError(_unknown(function.__name__, name, known))
            try:
                with RUNNING:
                    return function(*args, **options)
            except NaluExportError as error:
                if error.args and not _FLAGS.get():
                    error.args = (_in_python(str(error.args[0]), known), *error.args[1:])
                raise

        shown = own.replace(parameters=[*taken, *passed().values()])
        cast("Any", called).__signature__ = shown
        return cast("F", called)

    return completed


@contextmanager
def flags_in_errors() -> Iterator[None]:
    """Errors name the flags of the command line."""
    before = _FLAGS.set(True)
    try:
        yield
    finally:
        _FLAGS.reset(before)


def part_of(kind: type[T], options: Mapping[str, Any]) -> T:
    """A dataclass of those options that it has."""
    names = {each.name for each in fields(cast("Any", kind)) if each.init}
    return kind(**{name: value for name, value in options.items() if name in names})


def _parameter(each: "Field[Any]") -> inspect.Parameter:
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=each.type)


def _unknown(function: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(known)}"
    return f"{function} takes no argument {name!r}{hint}"


def _in_python(text: str, names: Iterable[str]) -> str:
    """A text in which the flags of these arguments are the arguments themselves."""
    known = set(names)

    def argument(match: re.Match[str]) -> str:
        name, value = match[1].replace("-", "_"), match[2]
        if name not in known:
            return match[0]
        if name in _SWITCHES:
            return f"{name}=True"
        return name if value is None else f"{name}={'(H, W)' if value == 'H W' else value}"

    return _FLAG.sub(argument, text)
