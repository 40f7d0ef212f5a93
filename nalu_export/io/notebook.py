"""Shows an object in an interactive session: as one line, or as a small HTML table in a notebook."""

from collections.abc import Iterable, Sequence
from html import escape

from nalu_export.io.text import printable

# Largest number of characters of one text, and of rows of a table.
MAX_TEXT, MAX_ROWS = 160, 12


def line(kind: str, facts: Iterable[str]) -> str:
    """Return a line such as ``<Artifact: model.onnx, onnx, 1,234 bytes>``; the facts may come from untrusted files."""
    return f"<{kind}: {', '.join(_cut(fact) for fact in facts if fact)}>"


def table(title: str, rows: Iterable[Sequence[str]]) -> str:
    """Return an HTML table without scripts, styles and links. Texts are escaped and cut, and so is the number of rows.

    Args:
        title: caption of the table.
        rows: cells of each row; the first cell is the heading of the row.
    """
    given = list(rows)
    shown = [*given[:MAX_ROWS], *([(f"… {len(given) - MAX_ROWS} more",)] if len(given) > MAX_ROWS else [])]
    body = "".join(_row(row) for row in shown)
    return f"<table><caption>{escape(_cut(title))}</caption>{body}</table>"


def _row(cells: Sequence[str]) -> str:
    first, *rest = (escape(_cut(cell)) for cell in cells)
    return f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"


def _cut(text: str) -> str:
    # The text is cut before it is escaped: escaping all of a long text from a file would take long.
    shown = printable(text[: MAX_TEXT + 1])
    return shown if len(text) <= MAX_TEXT and len(shown) <= 4 * MAX_TEXT else shown[: MAX_TEXT - 1] + "…"
