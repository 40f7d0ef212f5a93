"""The command ``nalu-export inspect FILE``."""

from pathlib import Path
from typing import Any

import click

from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, capture_options, read_options, reading
from nalu_export.cli.results import ResultCommand, Results, finish, json_option, quiet_option

EXAMPLES = (
    ("nalu-export inspect model.onnx", "Show the weights and the metadata of an exported file."),
    ("nalu-export inspect model.pt --json", "Print the layers, weights, gates and formulas of a model as JSON."),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Show what a model or an exported file contains.")
@click.argument("file", type=MODEL)
@read_options
@budget_options
@capture_options
@json_option
@quiet_option
def inspect(file: Path, json_path: Path | None, quiet: bool, **options: Any) -> None:
    """Show what FILE contains: layers, weights, gates, eps, formulas and metadata.

    FILE is a checkpoint such as model.pt, or an exported file.
    """
    results = Results(json_path, quiet=quiet).refuse_overwriting(file)
    with lean_imports():
        from nalu_export.api.inspect import inspect as run
        from nalu_export.io.assumption import FIELDS, Assumption
        from nalu_export.reports.terminal.inspection import show_inspection

    found = run(file, **reading(keep_memory(options)))
    assumed = [Assumption(**{name: row[name] for name in FIELDS}) for row in found.get("assumptions", [])]
    finish(results, lambda: found, lambda out: show_inspection(out, found), assumed)
