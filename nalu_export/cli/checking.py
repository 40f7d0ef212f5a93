"""Options of a check that ``check`` and ``export`` share."""

from typing import Any

import click

from nalu_export import runtimes
from nalu_export.cli.headed import option, with_options
from nalu_export.cli.options import samples_option, seed_option
from nalu_export.cli.results import json_option, report_options

SAMPLES = "128, fewer for wide layers, for images 24"
REPORTS = ("html", "junit")
_NAMES = ", ".join(runtimes.names())


def check_options(command: Any) -> Any:
    """``--runtime``, ``--samples``, ``--seed``, and where the report goes: ``--json``, ``--html``, ``--junit``."""
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
        default_text="the one that checks an export of this format",
        help="What runs the file; may be given several times. With all, whatever is installed and runs this format; "
        f"what is not there is listed. NAME is one of {_NAMES}, all.",
    )(command)


def uses_cuda(names: tuple[str, ...]) -> bool:
    """Whether one of the runtimes may use CUDA."""
    return any("cuda" in name or name == "all" for name in names)


def report_files(options: dict[str, Any]) -> dict[str, Any]:
    """The paths of reports by kind, taken out of the options."""
    return {kind: options.pop(f"{kind}_path") for kind in reversed(REPORTS)}
