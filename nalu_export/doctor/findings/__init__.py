"""The findings of the doctor: each public file here, except ``base``, is one kind and defines ``FINDER``."""

from nalu_export.doctor.findings.base import Finder
from nalu_export.io.discovery import load_plugin, plugin_names


def names() -> tuple[str, ...]:
    """Return the names of all kinds, without importing their files."""
    return plugin_names(__path__)


def get(name: str) -> Finder:
    """Return what finds the kind of that name.

    Raises:
        InputError: there is no such kind; the text lists the known names.
    """
    finder = load_plugin(__name__, "finder", name, names())
    assert isinstance(finder, Finder)
    return finder


def finders() -> tuple[Finder, ...]:
    """Return every :class:`Finder`, sorted by rank."""
    return tuple(sorted(map(get, names()), key=lambda finder: finder.rank))
