"""Public layouts: every public file of this folder describes one owner's implementation."""

from nalu_export.checkpoints.layouts.base import Layout
from nalu_export.io.discovery import load_plugin, plugin_names


def names() -> tuple[str, ...]:
    """Owners, as ``--layout`` takes them."""
    return plugin_names(__path__)


def get(owner: str) -> Layout:
    """The layout of an owner.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    layout = load_plugin(__name__, "layout", owner, names())
    assert isinstance(layout, Layout)
    return layout
