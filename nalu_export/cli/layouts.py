"""``nalu-export layouts``."""

from pathlib import Path

import click

from nalu_export.cli.lean import lean_imports
from nalu_export.cli.results import ResultCommand, Results, finish, json_option, quiet_option

EXAMPLES = (
    ("nalu-export layouts", "All of them, a line each."),
    ("nalu-export layouts kevinzakka", "Keys, places, epsilon and peculiarities of one owner's."),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="List the public checkpoints that are read.")
@click.argument("owner", required=False)
@json_option
@quiet_option
def layouts(owner: str | None, json_path: Path | None, quiet: bool) -> None:
    """List the public implementations whose checkpoints are read, or what is known of those of OWNER."""
    results = Results(json_path, quiet=quiet)
    with lean_imports():
        from nalu_export.checkpoints.layout_table import rows
        from nalu_export.reports.terminal.layouts import show_layouts

    found = rows(owner)
    finish(results, lambda: {"layouts": found}, lambda out: show_layouts(out, found, every=owner is None))
