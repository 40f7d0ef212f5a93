"""The command line: parses, calls one function, shows the result, chooses the exit code."""

import contextlib
import errno
import io
import os
import sys

import click
from click_default_group import DefaultGroup

from nalu_export import __version__
from nalu_export.cli.check import check
from nalu_export.cli.convert import convert
from nalu_export.cli.doctor import doctor
from nalu_export.cli.export import export
from nalu_export.cli.golden import golden
from nalu_export.cli.inspect import inspect
from nalu_export.cli.layouts import layouts
from nalu_export.errors import EXIT_BAD_INPUT, NaluExportError
from nalu_export.text import printable

# A file that cannot be written is an InputError where it happens, so that this is about what was printed.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Group(DefaultGroup):  # type: ignore[misc]
    """``export`` needs no verb; a user's error is one line and an exit code, a bug keeps its traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Left to itself, the group takes the h of `-ohead.onnx` for its own -h, and the -- before a file name away.
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        if args and args[0] not in own and args[0] not in self.commands:
            args = [self.default_cmd_name, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def invoke(self, ctx: click.Context) -> object:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name that the terminal's encoding does not have must not end in a traceback.
                stream.reconfigure(errors="backslashreplace")
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except NaluExportError as error:
            click.echo(f"nalu-export: {printable(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno not in FULL:
                raise
            _forget_output()
            click.echo(f"nalu-export: the output cannot be written: {error.strerror}", err=True)
            ctx.exit(EXIT_BAD_INPUT)
        return result


def _forget_output() -> None:
    """What is left of it would fail again when the interpreter ends, with a traceback and an exit code of its own."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=_Group,
    default="export",
    default_if_no_args=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="nalu-export")
def main() -> None:
    """Take models with NAC and NALU layers from PyTorch to ONNX, TorchScript or C++, and prove that the file is right.

    `nalu-export MODEL --format onnx` exports; the verb `export` may be left out.

    Exit codes: 0 done, 1 parity failed or the doctor found an error, 2 bad usage or bad input, 3 the asked-for runtime
    is not there.
    """


main.add_command(export)
main.add_command(check)
main.add_command(inspect)
main.add_command(doctor)
main.add_command(convert)
main.add_command(golden)
main.add_command(layouts)

if __name__ == "__main__":
    sys.exit(main())
