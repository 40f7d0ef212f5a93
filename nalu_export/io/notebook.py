"""What an interactive session shows of an object: one line, or a small table where it can show HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from nalu_export.io.text import printable

# Characters of one fact, and rows of a table.
MAX_TEXT, MAX_ROWS = 160, 12


def line(kind: str, facts: Iterable[str]) -> str:
    """``<Artifact: model.onnx, onnx, 1,234 bytes>``; names in it may come from anybody's file."""
    return f"<{kind}: {', '.join(_cut(fact) for fact in facts if fact)}>"


def table(title: str, rows: Iterable[Sequence[str]]) -> str:
    """An HTML table without script, style or links. Every text is escaped and cut, and so is the number of rows.

    Args:
        title: its caption.
        rows: of texts; the first of each is what the row is about.
    """
    given = list(rows)
    shown = [*given[:MAX_ROWS], *([(f"… {len(given) - MAX_ROWS} more",)] if len(given) > MAX_ROWS else [])]
    body = "".join(_row(row) for row in shown)
    return f"<table><caption>{escape(_cut(title))}</caption>{body}</table>"


def _row(cells: Sequence[str]) -> str:
    first, *rest = (escape(_cut(cell)) for cell in cells)
    return f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"


def _cut(text: str) -> str:
    # Cut first: escaping a long text from a file would take long.
    shown = printable(text[: MAX_TEXT + 1])
    return shown if len(text) <= MAX_TEXT and len(shown) <= 4 * MAX_TEXT else shown[: MAX_TEXT - 1] + "…"
