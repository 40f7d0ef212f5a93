"""The runtimes: each public file of this folder but ``base`` is one and defines ``RUNTIME``."""

from typing import TYPE_CHECKING, cast

from nalu_export.io.discovery import load_plugin, plugin_names

if TYPE_CHECKING:
    from nalu_export.runtimes.base import Runtime


def names() -> tuple[str, ...]:
    """Names of all runtimes, without importing any."""
    return plugin_names(__path__)


def get(name: str) -> "Runtime":
    """The runtime of that name, whether or not it can run here.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    return cast("Runtime", load_plugin(__name__, "runtime", name, names()))
