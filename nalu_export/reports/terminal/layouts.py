"""How the known layouts look in a terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from nalu_export.reports.terminal.lines import say


def show_layouts(out: Console, found: list[dict[str, Any]], *, every: bool) -> None:
    """One line for each unit, or all that is known of the units of one owner."""
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
            "each is taken with its matrices stored the other way round too, as --layout OWNER:UNIT-turned "
            f"(not {', '.join(alone)}: nn.Linear has one way)",
            style="dim",
        )
        unread = [row["layout"] for row in found if not row["read"]]
        say(out, f"known but not read in this release: {', '.join(unread)}", style="dim")
        return
    for row in found:
        say(out, (row["layout"], "bold"), "" if row["read"] else "  known but not read in this release")
        say(out, f"  keys   {', '.join(f'{name} {shape}'.rstrip() for name, shape in row['keys'].items())}")
        say(out, f"  found  {', '.join(place.replace('{}', 'k') or 'alone' for place in row['places'])}")
        if row["eps"] is not None:
            say(out, f"  eps    {row['eps']:g}")
        if row["turned"]:
            say(out, f"  other  {row['turned']}: (i, o) for (o, i), and the reverse")
        for quirk in row["quirks"]:
            say(out, f"  note   {quirk}")
