"""Prints the known layouts in a terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from nalu_export.reports.terminal.lines import say

LEGEND = (
    "keys: of one layer, with shapes of o outputs and i inputs; those in parentheses occur in variants only.",
    "under: prefix of the keys; k is the number of a layer, alone is a single layer without a prefix.",
)


def show_layouts(out: Console, found: list[dict[str, Any]], *, every: bool) -> None:
    """Print the layouts.

    Args:
        out: the console.
        found: a dict for each unit, see :mod:`nalu_export.checkpoints.layout_table`.
        every: print one line for each unit of all owners, instead of all details of the units of one owner.
    """
    if every:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        for title in ("layout", "eps", "keys of one layer"):
            table.add_column(title, no_wrap=title != "keys of one layer")
        for row in found:
            if row["read"]:
                eps = "" if row["eps"] is None else f"{row['eps']:g}"
                table.add_row(row["layout"], eps, ", ".join(row["keys"]))
        out.print(table)
        alone = [row["layout"] for row in found if row["read"] and not row["turned"]]
        say(
            out,
            "--layout OWNER:UNIT-turned reads a layout with transposed matrices "
            f"(not {', '.join(alone)}: the weight of an nn.Linear has one orientation)",
            style="dim",
        )
        unread = [row["layout"] for row in found if not row["read"]]
        say(out, f"known but not read in this release: {', '.join(unread)}", style="dim")
        return
    for row in found:
        say(out, (row["layout"], "bold"), "" if row["read"] else "  known but not read in this release")
        say(out, f"  keys    {', '.join(f'{name} {shape}'.rstrip() for name, shape in row['keys'].items())}")
        say(out, f"  under   {', '.join(place.replace('{}', 'k') or 'alone' for place in row['places'])}")
        if row["eps"] is not None:
            say(out, f"  eps     {row['eps']:g}")
        if row["turned"]:
            say(out, f"  turned  {row['turned']}: (i, o) in place of (o, i), and the reverse")
        for quirk in row["quirks"]:
            say(out, f"  note    {quirk}")
    for line in LEGEND:
        say(out, line, style="dim")
