"""What every public function of the Python API has: typed arguments that ``help()`` shows, and one call at a time."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar, cast

from nalu_export.errors import InputError
from nalu_export.process.locks import RUNNING

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def public(*holders: type[Any], more: Callable[[], Iterable["Field[Any]"]] = tuple) -> Callable[[F], F]:
    """Complete a public function whose last parameter is ``**options``.

    Calls in several threads run one after the other: torch has one number of threads, one generator of random numbers
    and one tracer for a whole process, and a result must not depend on what else runs.

    ``help()`` and ``inspect.signature`` show every argument with its default. A wrong name raises an error of one line
    that gives the nearest right one.

    Args:
        holders: dataclasses whose fields are keyword arguments; of two fields with one name the first counts.
        more: returns more such fields; it is called whenever the function is.
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
            with RUNNING:
                return function(*args, **options)

        shown = own.replace(parameters=[*taken, *passed().values()])
        cast("Any", called).__signature__ = shown
        return cast("F", called)

    return completed


def part_of(kind: type[T], options: Mapping[str, Any]) -> T:
    """Return a dataclass of those options that are its fields."""
    names = {each.name for each in fields(cast("Any", kind)) if each.init}
    return kind(**{name: value for name, value in options.items() if name in names})


def _parameter(each: "Field[Any]") -> inspect.Parameter:
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=each.type)


def _unknown(function: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(known)}"
    return f"{function} takes no argument {name!r}{hint}"
