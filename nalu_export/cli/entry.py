"""``nalu-export``, and ``python -m nalu_export``: the command in a process of its own."""

from nalu_export.cli.supervisor import supervised


def entry() -> None:
    """Run the command line, and end with its exit code."""
    supervised(_command)


def _command() -> None:
    # Not before: the process that waits has no use for it.
    from nalu_export.cli.main import main

    main(prog_name="nalu-export")
