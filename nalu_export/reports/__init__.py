"""The reports of a check. Each public file of this folder except ``base`` is one kind and defines ``REPORTER``.

``terminal`` prints what a person reads in the terminal.
"""

from typing import TYPE_CHECKING, cast

from nalu_export.io.discovery import load_plugin, plugin_names

if TYPE_CHECKING:
    from nalu_export.reports.base import Reporter


def names() -> tuple[str, ...]:
    """Return the names of all kinds of report, without importing any."""
    return plugin_names(__path__, besides=["terminal"])


def get(name: str) -> "Reporter":
    """Return the kind of report with this name.

    Raises:
        InputError: there is no such kind; the text lists the kinds.
    """
    return cast("Reporter", load_plugin(__name__, "reporter", name, names()))
