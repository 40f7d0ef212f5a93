"""``nalu-export layouts``."""

import click

from nalu_export.cli.lean import lean_imports
from nalu_export.io.text import to_json


@click.command()
@click.argument("owner", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def layouts(owner: str | None, as_json: bool) -> None:
    """List the public implementations whose checkpoints are read, or what is known of those of OWNER."""
    with lean_imports():
        from nalu_export.checkpoints.layout_table import rows
        from nalu_export.reports.terminal.layouts import show_layouts
        from nalu_export.reports.terminal.lines import console

    found = rows(owner)
    if as_json:
        click.echo(to_json({"layouts": found}))
    else:
        show_layouts(console(), found, every=owner is None)
