"""Runs the command line as ``python -m nalu_export``."""

from nalu_export.cli.entry import entry

entry()
