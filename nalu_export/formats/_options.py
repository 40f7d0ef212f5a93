"""The options of a format: fields with a default, a type and a text for the command line's help."""

import types
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, get_args, get_type_hints

from nalu_export.errors import InputError, option

_KINDS = {int: "an integer", str: "a text", bool: "True or False"}


@dataclass(frozen=True)
class FormatOptions:
    """The options of one format, and its suffixes, which are known before the format is loaded.

    A format derives a class from this one and makes each field with :func:`format_option`. The fields give the keyword
    arguments of :func:`nalu_export.export`, the options of ``nalu-export export``, and the values that both refuse. The
    module of the class must not import torch, because the command line's help reads it.

    Attributes:
        suffixes: endings of file names of this format; the first one is that of the default name.

    Raises:
        InputError: a value has another type than its field, or is outside its range.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for each in fields(self):
            _check(each.name, getattr(self, each.name), hints[each.name], each.metadata)

    @property
    def subgraph(self) -> str | None:
        """Path of the arithmetic subgraph that the file is to hold; ``None`` where the format decides."""
        return None


def format_option(
    default: Any, help_: str, *, metavar: str | None = None, low: int | None = None, high: int | None = None
) -> Any:
    """A field of :class:`FormatOptions`.

    Args:
        default: the value where the option is not given.
        help_: what the command line's help says, a sentence.
        metavar: what stands for the value in the help.
        low: the smallest integer that is allowed.
        high: the largest.
    """
    return field(default=default, metadata={"help": help_, "metavar": metavar, "low": low, "high": high})


def value_type(hint: Any) -> Callable[[Any], Any]:
    """``int``, ``str`` or ``bool`` of a field's type, which may be ``None`` too."""
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not types.NoneType]
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        raise TypeError(f"the option of a format is {hint}; it must be int, str or bool")
    kind: Callable[[Any], Any] = kinds[0]
    return kind


def _check(name: str, value: Any, hint: Any, told: Any) -> None:
    if value is None and types.NoneType in get_args(hint):
        return
    kind = value_type(hint)
    if type(value) is not kind:
        raise InputError(f"{option(name)} is {value!r}; it must be {_KINDS[kind]}")  # type: ignore[index]
    low, high = told["low"], told["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{option(name)} is {value}; allowed: {low} to {high}")
