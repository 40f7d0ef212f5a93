"""``python -m nalu_export``."""

from nalu_export.entry import entry

entry()
