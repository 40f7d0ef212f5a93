"""``nalu-export inspect FILE``."""

from pathlib import Path
from typing import Any

import click

from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, capture_options, read_options, reading
from nalu_export.io.text import to_json


@click.command()
@click.argument("file", type=MODEL)
@read_options
@budget_options
@capture_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(file: Path, as_json: bool, **options: Any) -> None:
    """Show what FILE, a model.pt or an exported file, holds: layers, weights, gates, eps, formulas and metadata."""
    with lean_imports():
        from nalu_export.api.inspect import inspect as run
        from nalu_export.reports.terminal.inspection import show_inspection
        from nalu_export.reports.terminal.lines import console

    found = run(file, **reading(keep_memory(options)))
    if as_json:
        click.echo(to_json(found))
    else:
        show_inspection(console(), found)
