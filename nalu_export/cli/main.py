"""The command line: parses, calls one function, shows the result, chooses the exit code."""

import click

from nalu_export._version import __version__
from nalu_export.cli.check import check
from nalu_export.cli.convert import convert
from nalu_export.cli.doctor import doctor
from nalu_export.cli.export import export
from nalu_export.cli.golden import golden
from nalu_export.cli.group import Group
from nalu_export.cli.inspect import inspect
from nalu_export.cli.layouts import layouts
from nalu_export.cli.sweep import sweep


@click.group(
    cls=Group,
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
main.add_command(sweep)
