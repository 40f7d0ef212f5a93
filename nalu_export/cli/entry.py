"""The entry point of ``nalu-export`` and ``python -m nalu_export``: runs the command in a process of its own."""

from nalu_export.cli.supervisor import supervised


def entry() -> None:
    """Run the command line and exit with its exit code."""
    supervised(_command)


def _command() -> None:
    # Imported here, because the process that only waits does not need it.
    from nalu_export.cli.main import main

    main(prog_name="nalu-export")
