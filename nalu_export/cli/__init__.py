"""The command line: parses, calls one function, shows the result, chooses the exit code."""

import sys

import click
from click_default_group import DefaultGroup

from nalu_export import __version__
from nalu_export.cli.check import check
from nalu_export.cli.export import export
from nalu_export.cli.inspect import inspect
from nalu_export.errors import NaluExportError


class _Group(DefaultGroup):  # type: ignore[misc]
    """``export`` needs no verb; a user's error is one line and an exit code, a bug keeps its traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except NaluExportError as error:
            click.echo(f"nalu-export: {_printable(str(error))}", err=True)
            ctx.exit(error.exit_code)


def _printable(text: str) -> str:
    """One line that a terminal shows as it is: names from a file may hold line feeds or escape sequences."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text.encode("utf-8", "backslashreplace").decode()
    )


@click.group(
    cls=_Group,
    default="export",
    default_if_no_args=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="nalu-export")
def main() -> None:
    """Take models with NAC and NALU layers from PyTorch to ONNX or TorchScript, and prove that the file is right.

    `nalu-export MODEL --format onnx` exports; the verb `export` may be left out.

    Exit codes: 0 done, 1 parity failed, 2 bad usage or bad input, 3 the asked-for runtime is not there.
    """


main.add_command(export)
main.add_command(check)
main.add_command(inspect)

if __name__ == "__main__":
    sys.exit(main())
