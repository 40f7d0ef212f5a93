"""Tables that fit: where a terminal is too narrow for all columns, whole columns are left out, and that is said."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nalu_export.reports.terminal.lines import say

# Of the first column, which is folded before a column is left out.
NARROWEST = 13
# Of which a border of rich is one column.
_GAP = 2


def show_table(
    out: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[Text]],
    *,
    left: Sequence[str],
    dropped_first: Sequence[str],
    folded: Sequence[str] = (),
) -> None:
    """Print a table, of as many columns as the terminal has room for; elsewhere of all.

    Args:
        out: where to.
        titles: of the columns.
        rows: cells, a text for each title.
        left: the columns that are aligned on the left; numbers are on the right.
        dropped_first: those that may be left out, the first of them first.
        folded: the columns whose cells may take several lines, with the first.
    """
    columns = {title: [row[place] for row in rows] for place, title in enumerate(titles)}
    widths = {title: max([len(title), *(cell.cell_len for cell in cells)]) for title, cells in columns.items()}
    needed = dict(widths)
    for title in {titles[0], *folded} & {*titles}:
        longest = max([len(word) for cell in columns[title] for word in cell.plain.split()], default=0)
        needed[title] = min(widths[title], max(len(title), min(longest, NARROWEST)))
    dropped: list[str] = []
    for title in dropped_first:
        kept = [needed[name] for name in titles if name not in dropped]
        if not out.is_terminal or sum(kept) + _GAP * (len(kept) - 1) <= out.width:
            break
        dropped.append(title)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for title in titles:
        if title not in dropped:
            may_fold = title == titles[0] or title in folded
            table.add_column(
                title,
                justify="left" if title in left else "right",
                no_wrap=not may_fold,
                overflow="fold",
                min_width=min(needed[title], out.width),
            )
    for row in rows:
        table.add_row(*(cell for title, cell in zip(titles, row, strict=True) if title not in dropped))
    width = out.width
    if not out.is_terminal:
        out.width = max(width, sum(widths.values()) + _GAP * len(widths))
    out.print(table)
    out.width = width
    if dropped:
        say(out, f"left out for want of width: {', '.join(title for title in titles if title in dropped)}", style="dim")
