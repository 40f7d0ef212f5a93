"""The command line: parses, calls one function, shows the result, chooses the exit code."""

import io
import sys
import warnings
from typing import Any

import click
from click_default_group import DefaultGroup

from nalu_export._version import __version__
from nalu_export.cli.check import check
from nalu_export.cli.convert import convert
from nalu_export.cli.doctor import doctor
from nalu_export.cli.export import export
from nalu_export.cli.golden import golden
from nalu_export.cli.guard import Ended, end_of, guarded, without_debug
from nalu_export.cli.inspect import inspect
from nalu_export.cli.layouts import layouts
from nalu_export.cli.spelling import flag
from nalu_export.cli.supervisor import was_interrupted
from nalu_export.errors import spelling_flags
from nalu_export.io.text import printable, printable_lines

DEBUG = "nalu_export.debug"
# Of what is said of bad usage, which quotes the words of the command line.
LONGEST = 1000


def _warning(*args: Any, **kwargs: Any) -> str:
    return printable_lines(_format_warning(*args, **kwargs))


_format_warning = warnings.formatwarning


class _Group(DefaultGroup):  # type: ignore[misc]
    """``export`` needs no verb; whatever is raised is one line and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Left to itself, the group takes the h of `-ohead.onnx` for its own -h, and the -- before a file name away.
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        args, ctx.meta[DEBUG] = without_debug(args)
        if args and args[0] not in own and args[0] not in self.commands:
            args = [self.default_cmd_name, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """What Python prints by itself is printable too; also what is raised while words are read is one line."""
        warnings.formatwarning = _warning
        try:
            with spelling_flags(flag):
                return super().main(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  there is one guard for all of them
            words = next(iter(args), kwargs.get("args")) or sys.argv[1:]
            sys.exit(end_of(error, debug=without_debug(list(words))[1]))

    def invoke(self, ctx: click.Context) -> object:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name that the terminal's encoding does not have must not end in a traceback.
                stream.reconfigure(errors="backslashreplace")

        def run() -> object:
            try:
                result = super(_Group, self).invoke(ctx)
                sys.stdout.flush()
            except click.UsageError as error:
                # Words of the command line stand in it as they are; a list of choices has line feeds of click's own.
                message = printable(error.format_message().replace("\n\t", " "))
                if len(message) > LONGEST:
                    message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
                raise click.UsageError(message, error.ctx) from error
            return result

        try:
            return guarded(run, debug=ctx.meta[DEBUG], was_interrupted=was_interrupted)
        except Ended as ended:
            ctx.exit(ended.code)


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

    Exit codes: 0 done, 1 parity failed or the doctor found an error, 2 bad usage, bad input, or past --timeout or
    --max-memory, 3 the asked-for runtime is not there, 70 an internal error (--debug shows its traceback), 130 Ctrl-C.
    After 2, 3, 70 and more nothing was decided and nothing written.
    """


main.add_command(export)
main.add_command(check)
main.add_command(inspect)
main.add_command(doctor)
main.add_command(convert)
main.add_command(golden)
main.add_command(layouts)
