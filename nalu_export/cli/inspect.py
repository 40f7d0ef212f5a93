"""``nalu-export inspect FILE``."""

from pathlib import Path

import click

from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import model_option
from nalu_export.text import to_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@model_option
@click.option("--trust", is_flag=True, help="Read the weights of a TorchScript archive too; this runs what is in it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(file: Path, factory: str | None, trust: bool, as_json: bool) -> None:
    """Show what FILE, a model.pt or an exported file, holds: layers, weights, gates, eps and metadata."""
    with lean_imports():
        from nalu_export.cli.show import console, show_inspection
        from nalu_export.inspecting import inspect as run

    found = run(file, factory, trust=trust)
    if as_json:
        click.echo(to_json(found))
    else:
        show_inspection(console(), found)
