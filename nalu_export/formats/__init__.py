"""The file formats: each public file or folder here but ``base`` is one and defines ``FORMAT``."""

from typing import TYPE_CHECKING, cast

from nalu_export.io.discovery import load_plugin, plugin_names

if TYPE_CHECKING:  # base imports torch, which the command line's help must not
    from nalu_export.formats.base import Format


def names() -> tuple[str, ...]:
    """Names of all formats, without importing any."""
    return plugin_names(__path__)


def get(name: str) -> "Format":
    """The format of that name.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    return cast("Format", load_plugin(__name__, "format", name, names()))
