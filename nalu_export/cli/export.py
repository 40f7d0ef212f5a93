"""``nalu-export [export] MODEL``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nalu_export import formats
from nalu_export.cli.assumed import say_assumed
from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.formats import format_options, given_options
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, OUTPUT, capture_options, read_options, reading, seed_option, told_beside
from nalu_export.errors import InputError, ParityError
from nalu_export.io.files import StandardInput
from nalu_export.io.text import to_json

if TYPE_CHECKING:
    from nalu_export.api.artifact import Artifact
    from nalu_export.parity import Report


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "--format",
    "-f",
    "format_name",
    type=click.Choice(formats.names()),
    help="What to write; by default what the suffix of --output tells, else onnx.",
)
@click.option(
    "--output",
    "-o",
    type=OUTPUT,
    help="Where to; by default beside MODEL, as model.onnx. - is standard output.",
)
@click.option(
    "--weights",
    type=click.Choice(["folded", "live"]),
    default="folded",
    show_default=True,
    help="Effective weights only, or raw parameters that the file turns into weights itself.",
)
@click.option(
    "--compute",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Type of the arithmetic layers; inputs and outputs stay float32.",
)
@format_options
@capture_options
@read_options
@budget_options
@click.option("--check/--no-check", default=True, help="Check the file before it appears.  [default: check]")
@seed_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def export(
    model: Path, format_name: formats.FormatName | None, output: Path | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Export MODEL (model.pt; - is standard input), check the result and only then put it in its place.

    The check compares the file with the model in float64 on inputs from the training range to 1e7, negatives, exact
    zeros and subnormals. If it fails nothing is written and the exit code is 1.
    """
    with lean_imports():
        from nalu_export.api.export import export as run
        from nalu_export.api.export import path_beside
        from nalu_export.cli.progress import stages

    if isinstance(model, StandardInput) and output is None:
        raise InputError(f"{model}: has no folder to export beside; say where to with --output FILE")
    aside = told_beside(output, as_json=as_json)
    given = reading(keep_memory(given_options(options)))
    target = output or path_beside(model, format_name or formats.DEFAULT)
    try:
        with stages(quiet=quiet or as_json) as tell:
            artifact = run(model, target, format=format_name, progress=tell, **given)
    except ParityError as error:
        if not quiet and error.report is not None:
            _show(error.report, None, as_json=as_json, aside=aside)  # type: ignore[arg-type]
        raise
    if quiet:
        say_assumed(artifact.assumptions)
    else:
        _show(artifact.report, artifact, as_json=as_json, aside=aside)


def _show(report: Report | None, artifact: Artifact | None, *, as_json: bool, aside: bool) -> None:
    if as_json:
        found: dict[str, Any] = {"parity": None if report is None else report.to_dict()}
        if artifact is not None:
            found = {
                "path": str(artifact.path),
                "format": artifact.format,
                "bytes": len(artifact.data),
                "notes": list(artifact.notes),
                "metadata": artifact.metadata,
            } | found
        click.echo(to_json(found))
        return
    from nalu_export.cli.written import artifact_line
    from nalu_export.reports.terminal.lines import console, say, say_all
    from nalu_export.reports.terminal.report import show_report

    out = console(stderr=aside)
    if report is not None:
        show_report(out, report)
    if artifact is not None:
        # The report has said what was assumed, where there is one.
        say_all(out, artifact.notes, artifact.assumptions if report is None else ())
        if report is None:
            say(out, "not checked")
        say(out, artifact_line(artifact))
