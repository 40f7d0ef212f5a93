"""Public layouts: every public file of this folder, except ``base``, describes one owner's implementation."""

from nalu_export.checkpoints.layouts.base import Layout
from nalu_export.io.discovery import load_plugin, plugin_names


def names() -> tuple[str, ...]:
    """Return the names of all owners, as ``--layout`` takes them."""
    return plugin_names(__path__)


def get(owner: str) -> Layout:
    """Return the layout of an owner.

    Raises:
        InputError: there is no such owner; the text lists the owners.
    """
    layout = load_plugin(__name__, "layout", owner, names())
    assert isinstance(layout, Layout)
    return layout
