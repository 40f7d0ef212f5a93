"""The decorator of the public functions of the Python API: ``help()`` shows all arguments, and calls are serialised."""

import contextlib
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


def public(
    *holders: type[Any], more: Callable[[], Iterable["Field[Any]"]] = tuple, one_at_a_time: bool = True
) -> Callable[[F], F]:
    """Complete a public function whose last parameter is ``**options``.

    Calls in several threads run one after the other: torch has one thread count, one generator of random numbers and
    one tracer for the whole process, and a result must not depend on what else runs.

    ``help()`` and ``inspect.signature`` show every argument with its default. The decorated function raises
    :class:`InputError` for an unknown keyword argument; the text gives the nearest name, or lists all names.

    Args:
        holders: dataclasses whose fields are keyword arguments; of several fields with one name the last counts.
        more: returns more such fields; it is called at each call of the function.
        one_at_a_time: ``False`` for a function that uses torch in other processes only, and may take hours.
    """

    def completed(function: F) -> F:
        signature = inspect.signature(function)
        own = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        by_name = [parameter.name for parameter in own if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY]
        held = [field for holder in holders for field in fields(holder)]

        def passed_on() -> dict[str, inspect.Parameter]:
            # A field with init=False is computed from others and is not an argument.
            found = {field.name: _parameter(field) for field in (*held, *more()) if field.init}
            return {name: parameter for name, parameter in found.items() if name not in signature.parameters}

        @functools.wraps(function)
        def called(*args: Any, **options: Any) -> Any:
            __tracebackhide__ = True
            known = [*by_name, *passed_on()]
            for name in options:
                if name not in known:
                    raise InputError(_unknown(function.__name__, name, known))
            with RUNNING if one_at_a_time else contextlib.nullcontext():
                return function(*args, **options)

        shown = signature.replace(parameters=[*own, *passed_on().values()])
        cast("Any", called).__signature__ = shown
        return cast("F", called)

    return completed


def part_of(kind: type[T], options: Mapping[str, Any]) -> T:
    """Return an instance of the dataclass ``kind``, made from those options that are its fields."""
    names = {field.name for field in fields(cast("Any", kind)) if field.init}
    return kind(**{name: value for name, value in options.items() if name in names})


def _parameter(field: "Field[Any]") -> inspect.Parameter:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field.type)


def _unknown(function: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(known)}"
    return f"{function} takes no argument {name!r}{hint}"
