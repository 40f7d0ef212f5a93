"""``nalu-export [export] MODEL``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nalu_export import formats
from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.checking import check_options, uses_cuda
from nalu_export.cli.exported import tell
from nalu_export.cli.formats import HEADING, format_options, given_options
from nalu_export.cli.headed import option
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, capture_options, compute_option, output_option, read_options, reading
from nalu_export.cli.results import ResultCommand, Results, quiet_option, report_files
from nalu_export.errors import InputError, ParityError
from nalu_export.io.files import StandardInput

EXAMPLES = (
    ("nalu-export model.pt", "model.onnx beside model.pt, checked in ONNX Runtime."),
    (
        "nalu-export model.pt -o head.hpp --runtime all",
        "A C++17 header, checked by every runtime that is installed and runs one.",
    ),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Write a checked file; the verb may be left out.")
@click.argument("model", type=MODEL)
@option(
    "--format",
    "-f",
    "format_name",
    type=click.Choice(formats.names()),
    heading=HEADING,
    default_text="by the suffix of --output, else onnx",
    help="What to write.",
)
@output_option("Where to. - is standard output.", default_text="beside MODEL, as model.onnx")
@option(
    "--weights",
    type=click.Choice(["folded", "live"]),
    default="folded",
    heading=HEADING,
    help="Effective weights only, or raw parameters that the file turns into weights itself.",
)
@compute_option("float32", "float64", what="; inputs and outputs stay float32", heading=HEADING)
@format_options
@capture_options
@read_options
@budget_options
@check_options
@option("--check/--no-check", default=True, heading="Check", help="Check the file before it appears.")
@option("--verbose", "-v", is_flag=True, heading="Output", help="Print the tables of the check.")
@quiet_option
def export(
    model: Path,
    format_name: formats.FormatName | None,
    output: Path | None,
    names: tuple[str, ...],
    json_path: Path | None,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Export MODEL (model.pt; - is standard input), check the result and only then put it in its place.

    The check compares the file with the model in float64 on inputs from the training range to 1e7, negatives, exact
    zeros and subnormals. If it fails nothing is written but the reports that were asked for, and the exit code is 1.
    With a report, the worst inputs are saved beside the first of them, as REPORT.worst.npz.
    """
    if quiet and verbose:
        raise InputError("--quiet and --verbose are both given; give one of them")
    files = report_files(options)
    _refuse_unchecked(options, names, files)
    results = Results(json_path, quiet=quiet, files=files, output=output)
    if isinstance(model, StandardInput) and output is None:
        raise InputError(f"{model}: has no folder to export beside; say where to with --output FILE")
    with lean_imports():
        from nalu_export.api.export import export as run
        from nalu_export.api.export import path_beside
        from nalu_export.cli.progress import stages

    target = output or path_beside(model, format_name or formats.DEFAULT)
    results.refuse_overwriting(model, target)
    options = reading(keep_memory(given_options(options), cuda=uses_cuda(names)))
    try:
        with stages(quiet=not results.shows) as progress:
            artifact = run(model, target, format=format_name, runtimes=names or None, progress=progress, **options)
    except ParityError as error:
        if error.report is not None:
            tell(results, model, None, error.report, verbose=verbose)  # type: ignore[arg-type]
        raise
    tell(results, model, artifact, artifact.report, verbose=verbose)


def _refuse_unchecked(options: Mapping[str, Any], names: tuple[str, ...], files: Mapping[str, Path | None]) -> None:
    """Refuse options of a check that is not made."""
    given = {"--runtime": names, "--samples": options["samples"], **{f"--{kind}": path for kind, path in files.items()}}
    idle = next((flag for flag, value in given.items() if value), None)
    if idle is not None and not options["check"]:
        raise InputError(f"{idle} and --no-check are both given; without a check it has no meaning")
