"""benchmarks.report: valid Markdown, and the same in a terminal."""

import io
import re

import pytest
from rich.console import Console

from benchmarks.report import Section, Target, figure, markdown, show

SECTION = Section(
    title="Speed [fast]",
    method="Measured by hand.",
    header=("what", "a | b", "c"),
    rows=(("first", "1|2", "[bold]"), ("second\nline", "3", "")),
    targets=(Target("a ≤ b", True), Target("b ≤ c", False)),
)


def test_markdown_is_a_valid_table() -> None:
    page = markdown([SECTION, SECTION], "# Page\n\nHead.\n")
    assert page.startswith("# Page\n\nHead.\n\n## Speed [fast]\n\nMeasured by hand.\n\n| what |")
    assert page.endswith("- reached: a ≤ b\n- NOT reached: b ≤ c\n")
    tables = re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        lines = table.splitlines()
        assert len(lines) == 4
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
        assert re.fullmatch(r"\|( :?-+:? \|)+", lines[1])
        assert page[page.index(table) - 2 :].startswith("\n\n")


def test_terminal_shows_cells_as_they_are() -> None:
    out = io.StringIO()
    show(SECTION, Console(file=out, width=120))
    for text in ("Speed [fast]", "1|2", "[bold]", "Measured by hand.", "NOT reached: b ≤ c"):
        assert text in out.getvalue()


def test_a_row_must_fit_the_header() -> None:
    with pytest.raises(ValueError, match=r"T: the row \('a', 'b'\) has 2 cells, the header 1"):
        Section("T", "", ("one",), (("a", "b"),))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.754, "0.75"),
        (0.9996, "1.0"),
        (3.46, "3.5"),
        (99.96, "100"),
        (1319.2, "1319"),
        (9999.6, "1.0e4"),
        (1.63e7, "1.6e7"),
        (2e12, "2.0e12"),
    ],
)
def test_figure(value: float, text: str) -> None:
    assert figure(value) == text
