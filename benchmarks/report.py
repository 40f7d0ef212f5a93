"""What a benchmark found, as a table in the terminal and in Markdown."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

PIPE = "\\|"


def figure(value: float) -> str:
    """Two or three digits, and the power of ten apart where there are more than four."""
    if value >= 9999.5:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.{2 if value < 0.995 else 1 if value < 99.95 else 0}f}"


@dataclass(frozen=True)
class Target:
    """A claim of this project and whether this run bears it out; nothing fails when it does not."""

    claim: str
    reached: bool

    def __str__(self) -> str:
        return f"{'reached' if self.reached else 'NOT reached'}: {self.claim}"


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        title: what is compared.
        method: how it was measured, in a sentence or two.
        header: a title for each column.
        rows: one text for each column; the first column names the row.
        targets: claims, with what became of them.
    """

    title: str
    method: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{self.title}: the row {row} has {len(row)} cells, the header {len(self.header)}")


def show(section: Section, console: Console) -> None:
    """Print one section."""
    table = Table(box=box.SIMPLE_HEAD, title=escape(section.title), title_justify="left", title_style="bold")
    for index, title in enumerate(section.header):
        table.add_column(escape(title), justify="right" if index else "left")
    for row in section.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    console.print(escape(section.method), style="dim")
    for target in section.targets:
        console.print(escape(str(target)), style="green" if target.reached else "bold red")
    console.print()


def markdown(sections: Iterable[Section], preface: str) -> str:
    """The whole page."""
    return "\n\n".join([preface.rstrip(), *map(_section, sections)]) + "\n"


def _section(section: Section) -> str:
    lines = [_row(section.header), _row([":--", *["--:"] * (len(section.header) - 1)], raw=True)]
    lines += [_row(row) for row in section.rows]
    parts = [f"## {section.title}", section.method, "\n".join(lines)]
    if section.targets:
        parts.append("\n".join(f"- {target}" for target in section.targets))
    return "\n\n".join(parts)


def _row(cells: Iterable[str], *, raw: bool = False) -> str:
    texts = cells if raw else (cell.replace("|", PIPE).replace("\n", " ") for cell in cells)
    return "| " + " | ".join(texts) + " |"
