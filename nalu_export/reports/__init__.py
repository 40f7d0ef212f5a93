"""The reports of a check: each public file of this folder but ``base`` is one kind and defines ``REPORTER``.

``terminal`` is what a person reads meanwhile.
"""

from typing import TYPE_CHECKING, cast

from nalu_export.io.discovery import load_plugin, plugin_names

if TYPE_CHECKING:
    from nalu_export.reports.base import Reporter


def names() -> tuple[str, ...]:
    """Names of all kinds of report, without importing any."""
    return plugin_names(__path__, besides=["terminal"])


def get(name: str) -> "Reporter":
    """The kind of report of that name.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    return cast("Reporter", load_plugin(__name__, "reporter", name, names()))
