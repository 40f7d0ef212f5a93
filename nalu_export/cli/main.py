"""The command line: each command parses, calls one function, shows the result and chooses the exit code."""

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
    """Export PyTorch models with NAC and NALU layers to ONNX, TorchScript or C++, and check the exported file.

    `nalu-export MODEL` is short for `nalu-export export MODEL`. `nalu-export COMMAND --help` shows the options of a
    command, with defaults and examples.
    """


main.add_command(export)
main.add_command(check)
main.add_command(inspect)
main.add_command(doctor)
main.add_command(convert)
main.add_command(golden)
main.add_command(layouts)
main.add_command(sweep)
