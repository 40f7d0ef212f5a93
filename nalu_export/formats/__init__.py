"""The file formats: each public file or folder here but ``base`` is one and defines ``FORMAT``.

In a folder ``FORMAT`` stands in ``format.py``, and ``OPTIONS``, the class of its options, in ``options.py``, so that
the command line's help knows them without importing torch.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nalu_export.errors import InputError
from nalu_export.formats._keywords import FormatKeywords, FormatName
from nalu_export.formats._options import FormatOptions, flag, value_type
from nalu_export.io.discovery import load_plugin, plugin_names, plugin_part

if TYPE_CHECKING:  # base imports torch, which the command line's help must not
    from nalu_export.formats.base import Format

__all__ = [
    "DEFAULT",
    "FormatKeywords",
    "FormatName",
    "FormatOptions",
    "chosen",
    "flag",
    "get",
    "names",
    "option_fields",
    "options_of",
    "own_options",
    "value_type",
]

# Where neither an argument nor a file name says another.
DEFAULT: FormatName = "onnx"


def names() -> tuple[str, ...]:
    """Names of all formats, without importing any."""
    return plugin_names(__path__)


def get(name: str) -> "Format[Any]":
    """The format of that name.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    return cast("Format[Any]", load_plugin(__name__, "format", name, names()))


def options_of(name: str) -> type[FormatOptions]:
    """The class of a format's options; a format that is a folder is not loaded for that.

    Raises:
        InputError: there is no such format.
    """
    found = plugin_part(__path__, __name__, name, "options")
    return cast("type[FormatOptions]", get(name).options if found is None else found.OPTIONS)


def option_fields() -> Iterator[tuple[str, "Field[Any]"]]:
    """Every option of every format, with the format that owns it."""
    for name in names():
        for each in fields(options_of(name)):
            yield name, each


def own_options(name: str, given: Mapping[str, Any]) -> FormatOptions:
    """The options of one format.

    Args:
        name: of the format.
        given: those that were given, by name.

    Raises:
        InputError: one is of another format, or has a value that is not allowed.
    """
    kind = options_of(name)
    own = {each.name for each in fields(kind)}
    for option in given:
        if option not in own:
            raise InputError(f"{flag(option)} is given, which means nothing to format {name}; leave it out")
    return kind(**given)


def chosen(path: str | os.PathLike[str] | None, name: FormatName | None) -> FormatName:
    """Name of the format of a file that is to be written: as it is said, else as the file's name tells, else ONNX.

    Raises:
        InputError: the file's name tells another format than the one that is said, or there is no such format.
    """
    file = "" if path is None else Path(path).name.lower()
    told = {ending: other for other in names() for ending in options_of(other).suffixes if file.endswith(ending)}
    longest = max(told, key=len, default="")
    if name is None:
        # A type checker is told of the formats of this package alone.
        return cast("FormatName", told.get(longest, DEFAULT))
    options_of(name)
    if told and name not in told.values():
        raise InputError(
            f"{path}: {longest} is a suffix of format {told[longest]}, and --format is {name}; change one of them"
        )
    return name
