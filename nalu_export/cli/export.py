"""The command ``nalu-export [export] MODEL``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nalu_export import formats
from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.checking import check_options, uses_cuda
from nalu_export.cli.exported import tell
from nalu_export.cli.formats import format_options, given_options
from nalu_export.cli.headed import option
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, capture_options, output_option, read_options, reading
from nalu_export.cli.results import ResultCommand, Results, quiet_option, report_files
from nalu_export.errors import InputError, ParityError
from nalu_export.io.files import StandardInput

EXAMPLES = (
    ("nalu-export model.pt", "Write model.onnx beside model.pt, after a check in ONNX Runtime."),
    (
        "nalu-export model.pt -o head.hpp --runtime all",
        "Write a C++17 header, after a check in every installed runtime of this format.",
    ),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Export a model to a checked file (the default).")
@click.argument("model", type=MODEL)
@format_options("by the suffix of --output, else onnx")
@output_option("Path of the file; - is standard output.", default_text="MODEL with the suffix of the format")
@capture_options
@read_options
@budget_options
@check_options
@option("--check/--no-check", default=True, heading="Check", help="Check the file before it appears at its path.")
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
    """Export MODEL, a checkpoint such as model.pt (- is standard input), to a file of another format.

    The file is checked before it appears at its path. The check compares it with the model in float64, on inputs from
    the training range to 1e7, negatives, exact zeros and subnormals. If the check fails, only the reports are written,
    and the exit code is 1.

    With --json PATH, --junit or --html, the worst inputs are saved too: as REPORT.worst.npz, beside the first of these
    reports.
    """
    if quiet and verbose:
        raise InputError("--quiet and --verbose are both given; give one of them")
    files = report_files(options)
    _refuse_unchecked(options, names, files)
    results = Results(json_path, quiet=quiet, files=files, output=output)
    if isinstance(model, StandardInput) and output is None:
        raise InputError(f"{model}: has no folder to write the file to; give its path with --output FILE")
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
    """Refuse the options of a check together with ``--no-check``."""
    given = {"--runtime": names, "--samples": options["samples"], **{f"--{kind}": path for kind, path in files.items()}}
    idle = next((flag for flag, value in given.items() if value), None)
    if idle is not None and not options["check"]:
        raise InputError(f"{idle} and --no-check are both given; {idle} has no effect without a check")
