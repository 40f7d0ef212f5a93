"""The options of a check that ``check`` and ``export`` share."""

from typing import Any

import click

from nalu_export import runtimes
from nalu_export.cli.headed import option, with_options
from nalu_export.cli.options import samples_option, seed_option
from nalu_export.cli.results import json_option, report_options

SAMPLES = "128, fewer for wide layers; 24 for images"
# The default runtime of each format; a test compares it with the formats.
RUNTIMES = "by the format: onnxruntime-cpu, torchscript or cpp"
_NAMES = ", ".join(runtimes.names())


def check_options(command: Any) -> Any:
    """Add ``--runtime``, ``--samples``, ``--seed``, and the reports: ``--json``, ``--html`` and ``--junit``."""
    samples = samples_option(10**6, SAMPLES)
    return with_options(command, runtime_option, samples, seed_option, json_option, report_options)


def runtime_option(command: Any) -> Any:
    """``--runtime``."""
    return option(
        "--runtime",
        "names",
        type=click.Choice((*runtimes.names(), "all")),
        metavar="NAME",
        multiple=True,
        heading="Check",
        default_text=RUNTIMES,
        help="Runtime that runs the file; may be given several times. `all` takes every runtime of the format that "
        f"is installed, and lists the others. NAME is one of {_NAMES}, all.",
    )(command)


def uses_cuda(names: tuple[str, ...]) -> bool:
    """Return whether one of the runtimes may use CUDA."""
    return any("cuda" in name or name == "all" for name in names)
