"""The command ``nalu-export layouts``."""

from pathlib import Path

import click

from nalu_export.cli.lean import lean_imports
from nalu_export.cli.results import ResultCommand, Results, finish, json_option, quiet_option

EXAMPLES = (
    ("nalu-export layouts", "List all layouts, one in each line."),
    ("nalu-export layouts kevinzakka", "Show all details of the layouts of one implementation."),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="List the checkpoint layouts that can be read.")
@click.argument("owner", required=False)
@json_option
@quiet_option
def layouts(owner: str | None, json_path: Path | None, quiet: bool) -> None:
    """List the checkpoint layouts of public implementations, which --layout takes as OWNER:UNIT.

    With OWNER, show the layouts of one implementation: keys, shapes, prefixes, epsilon and peculiarities.
    """
    results = Results(json_path, quiet=quiet)
    with lean_imports():
        from nalu_export.checkpoints.layout_table import rows
        from nalu_export.reports.terminal.layouts import show_layouts

    found = rows(owner)
    finish(results, lambda: {"layouts": found}, lambda out: show_layouts(out, found, every=owner is None))
