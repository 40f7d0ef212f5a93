"""The command line; the command is ``nalu_export.cli.main.main``."""
