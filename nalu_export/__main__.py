"""``python -m nalu_export``."""

from nalu_export.cli import main

main(prog_name="nalu-export")
