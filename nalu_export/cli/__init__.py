"""The command line; ``nalu_export.cli.main`` is the command."""
