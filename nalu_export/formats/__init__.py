"""The file formats: each public file or folder here, except ``base``, is a format and defines ``FORMAT``.

A folder has ``FORMAT`` in ``format.py``, and ``OPTIONS``, the class of its options, in ``options.py``. So the help of
the command line knows the options without importing torch.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nalu_export.errors import InputError, option
from nalu_export.formats._keywords import FormatKeywords, FormatName
from nalu_export.formats._options import FormatOptions, value_type
from nalu_export.io.discovery import load_plugin, plugin_names, plugin_part

if TYPE_CHECKING:  # base imports torch; the help of the command line must not
    from nalu_export.formats.base import Format

__all__ = [
    "DEFAULT",
    "FormatKeywords",
    "FormatName",
    "FormatOptions",
    "chosen",
    "get",
    "names",
    "option_fields",
    "options_of",
    "own_options",
    "value_type",
]

# If neither an argument nor a suffix gives another format.
DEFAULT: FormatName = "onnx"


def names() -> tuple[str, ...]:
    """Return the names of all formats, without importing them."""
    return plugin_names(__path__)


def get(name: str) -> "Format[Any]":
    """Return the format of a name.

    Raises:
        InputError: there is no format of this name; the message lists the formats.
    """
    return cast("Format[Any]", load_plugin(__name__, "format", name, names()))


def options_of(name: str) -> type[FormatOptions]:
    """Return the class of a format's options, without importing a format that is a folder.

    Raises:
        InputError: there is no such format.
    """
    found = plugin_part(__path__, __name__, name, "options")
    return cast("type[FormatOptions]", get(name).options if found is None else found.OPTIONS)


def option_fields() -> Iterator[tuple[str, "Field[Any]"]]:
    """Yield every option of every format, after the name of the format that owns it."""
    for name in names():
        for each in fields(options_of(name)):
            yield name, each


def own_options(name: str, given: Mapping[str, Any]) -> FormatOptions:
    """Return the options of one format.

    Args:
        name: name of the format.
        given: the values that were given, by name of the option.

    Raises:
        InputError: an option belongs to another format, or a value is not allowed.
    """
    kind = options_of(name)
    own = {field.name for field in fields(kind)}
    for each in given:
        if each not in own:
            raise InputError(f"{option(each)} is given, but format {name} does not have this option; leave it out")
    return kind(**given)


def chosen(path: str | os.PathLike[str] | None, name: FormatName | None) -> FormatName:
    """Return the name of the format of a file that will be written: ``name``, else by the file's suffix, else ONNX.

    Raises:
        InputError: the suffix is that of another format than ``name``, or there is no format ``name``.
    """
    file = "" if path is None else Path(path).name.lower()
    told = {ending: other for other in names() for ending in options_of(other).suffixes if file.endswith(ending)}
    longest = max(told, key=len, default="")
    if name is None:
        # The Literal type names only the formats of this package.
        return cast("FormatName", told.get(longest, DEFAULT))
    options_of(name)
    if told and name not in told.values():
        raise InputError(
            f"{path}: {longest} is a suffix of format {told[longest]}, and {option('format')} is {name}; "
            "change one of them"
        )
    return name
