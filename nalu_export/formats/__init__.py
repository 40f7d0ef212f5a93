"""The file formats: each public file or folder here, except ``base``, is a format and defines ``FORMAT``."""

from typing import TYPE_CHECKING, cast

from nalu_export.io.discovery import load_plugin, plugin_names

if TYPE_CHECKING:  # base imports torch; the help of the command line must not
    from nalu_export.formats.base import Format


def names() -> tuple[str, ...]:
    """Return the names of all formats, without importing them."""
    return plugin_names(__path__)


def get(name: str) -> "Format":
    """Return the format of a name.

    Raises:
        InputError: there is no format of this name; the message lists the formats.
    """
    return cast("Format", load_plugin(__name__, "format", name, names()))
