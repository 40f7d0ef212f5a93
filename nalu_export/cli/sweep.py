"""``nalu-export sweep SOURCES … -o PATH``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nalu_export import formats
from nalu_export.cli.budget import budget_options
from nalu_export.cli.checking import SAMPLES, runtime_option
from nalu_export.cli.formats import format_options, given_options
from nalu_export.cli.headed import option
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import (
    capture_options,
    output_option,
    read_options,
    reading,
    samples_option,
    seed_option,
)
from nalu_export.cli.results import ResultCommand, Results, json_option, quiet_option
from nalu_export.errors import EXIT_BAD_INPUT, EXIT_PARITY_FAILED, InputError
from nalu_export.io.targets import StandardOutput
from nalu_export.io.text import printable, to_json

if TYPE_CHECKING:
    from nalu_export.sweeps.result import Sweep

EXAMPLES = (
    ("nalu-export sweep 'runs/**/*.pt' -o out/ --format onnx", "Export every checkpoint below runs/, on all CPUs."),
    ("nalu-export sweep models/ -o checked/ --check-only", "Check a model zoo in CI, and keep no artifacts."),
)
WORKERS = "Workers"


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Export and check many checkpoints.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCES...")
@output_option("Folder for artifacts, reports, manifest and overview. It is created if it does not exist.")
@option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    heading=WORKERS,
    default_text="the number of CPUs",
    help="Worker processes on this machine. Each computes with one thread.",
)
@option(
    "--dask",
    metavar="ADDRESS",
    heading=WORKERS,
    help="Address of a Dask scheduler whose workers do the work, such as tcp://host:8786.",
)
@option(
    "--ship",
    is_flag=True,
    heading=WORKERS,
    help="Send the bytes of the checkpoints to the workers, for a cluster without a shared folder.",
)
@option(
    "--dask-timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=60.0,
    heading=WORKERS,
    help="Time to wait for a lost scheduler, or for workers.",
)
@option("--check-only", is_flag=True, help="Keep no artifacts, only the manifest, the reports and the overview.")
@option("--retry-failed", is_flag=True, help="Repeat checkpoints that did not pass in an earlier sweep.")
@format_options("onnx")
@capture_options
@read_options
@runtime_option
@samples_option(10**6, SAMPLES)
@seed_option
@json_option
@option(
    "--html-reports", is_flag=True, heading="Output", help="Also write the report of each checkpoint as a web page."
)
@option(
    "--file-timeout",
    type=click.FloatRange(min=0, min_open=True, max=10**7),
    metavar="SECONDS",
    heading="Limits",
    default_text="no limit",
    help="Give up a checkpoint that takes longer. The others go on.",
)
@budget_options
@quiet_option
@click.pass_context
def sweep(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    output: Path,
    format_name: formats.FormatName | None,
    names: tuple[str, ...],
    json_path: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Export and check every checkpoint of SOURCES: files, folders, patterns ('runs/**/*.pt') and lists (@list.txt).

    A checkpoint that fails does not stop the others. Each result is recorded in PATH/manifest.jsonl as soon as it is
    there, and the same command goes on where it was ended, whatever ended it. PATH/overview.html shows all of them,
    the worst first.

    Exit codes: 0 all passed, 1 a check failed, else 2 if a checkpoint was refused or crashed, or if the disk is full, 3
    a runtime or Dask is missing.
    """
    results = Results(json_path, quiet=quiet)
    if isinstance(output, StandardOutput):
        raise InputError("a sweep writes a folder; give its path with --output PATH")
    with lean_imports():
        from nalu_export.cli.progress import counted
        from nalu_export.cli.swept import assumed_line, quiet_line, show_sweep
        from nalu_export.reports.terminal.lines import console
        from nalu_export.sweeps.sources import find
        from nalu_export.sweeps.sweep import option_names
        from nalu_export.sweeps.sweep import sweep as run

    options = reading(given_options(options))
    if json_path is not None and not results.json_alone and json_path.exists():
        for source in find(sources, known=option_names(), trust=options["trust"], besides=output):
            results.refuse_overwriting(*source.files)
    with counted(quiet=not results.shows) as progress:
        found = run(sources, output, format=format_name, runtimes=names or None, progress=progress, **options)
    paths = results.write(lambda: to_json(found.to_dict()))
    if results.shows:
        show_sweep(console(), found, paths)
    else:
        for line in (assumed_line(found), "" if found.passed else quiet_line(found)):
            if line:
                click.echo(f"nalu-export: {printable(line)}", err=True)
    context.exit(_code(found))


def _code(found: Sweep) -> int:
    counts = found.counts
    return 0 if found.passed else EXIT_PARITY_FAILED if counts["failed"] else EXIT_BAD_INPUT
