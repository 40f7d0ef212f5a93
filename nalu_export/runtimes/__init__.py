"""The runtimes. Each public module of this folder except ``base`` defines one as ``RUNTIME``."""

from typing import TYPE_CHECKING, cast

from nalu_export.io.discovery import load_plugin, plugin_names

if TYPE_CHECKING:
    from nalu_export.runtimes.base import Runtime


def names() -> tuple[str, ...]:
    """Return the names of all runtimes, without importing any."""
    return plugin_names(__path__)


def get(name: str) -> "Runtime":
    """Return the runtime of that name, whether or not it can run here.

    Raises:
        InputError: there is no such runtime; the text lists the known names.
    """
    return cast("Runtime", load_plugin(__name__, "runtime", name, names()))
