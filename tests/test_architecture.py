"""Imports run one way: a part imports what its row of the table in CONTRIBUTING.md lists, which stands above it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import nalu_export

# A longer file is split by its ideas.
MAX_LINES = 400
ROOT = Path(nalu_export.__file__).parent
# What no table has: the doors, and what all may import.
TOP = {"__init__", "__main__", "_version", "errors"}


@cache
def _rule() -> dict[str, set[str]]:
    """What each part may import, in the order of the table."""
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    return {part: set(re.findall(r"`(\w+)`", listed)) for part, listed in rows}


def _part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imported(tree: ast.AST) -> set[str]:
    """Parts that a file imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nalu_export":
            names = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            found |= {
                name if (ROOT / name).exists() or (ROOT / f"{name}.py").exists() else "__init__" for name in names
            }
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "nalu_export":
                    found.add((alias.name.split(".")[1:2] or ["__init__"])[0])
    return found


FILES = [path for path in sorted(ROOT.rglob("*.py")) if _part(path) not in TOP]


def _imports() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in FILES:
        part = _part(path)
        imported = _imported(ast.parse(path.read_text(encoding="utf-8"))) - {part, "errors", "_version"}
        assert "__init__" not in imported, f"{path} imports the package itself, which imports it"
        found[part] = found.get(part, set()) | imported
    return found


def test_each_part_imports_what_its_row_lists() -> None:
    assert _imports() == _rule()


def test_a_row_lists_what_stands_above_it() -> None:
    above: set[str] = set()
    for part, listed in _rule().items():
        assert listed <= above, f"{part} stands above {sorted(listed - above)}, or they are in a circle"
        above.add(part)


def test_nothing_else_stands_at_the_top() -> None:
    assert {_part(path) for path in ROOT.rglob("*.py")} == TOP | set(_rule())


@pytest.mark.parametrize(
    "path", [*FILES, *sorted(ROOT.rglob("*.[hc]pp"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_files_outside_the_package_stay_small() -> None:
    folders = ("tests", "benchmarks", "examples", "fuzz")
    files = [path for folder in folders for path in (ROOT.parent / folder).rglob("*.py")]
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert files
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_LINES}


def _new_things() -> list[tuple[str, ...]]:
    """The rows of the table under "Where new things go": what, place, what it defines, example."""
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Where new things go\n")[2].partition("\n## ")[0]
    rows = [
        tuple(cell.strip() for cell in row.strip("| ").split(" | ")) for row in section.splitlines() if "](#" in row
    ]
    assert rows, 'the table "Where new things go" is not there'
    return rows


@pytest.mark.parametrize("row", _new_things(), ids=lambda row: str(row[0].partition("]")[0].strip("[")))
def test_new_things_go_where_the_table_says(row: tuple[str, ...]) -> None:
    what, place, defines, example = row
    headings = re.findall(r"^## (.+)$", (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"\(#([\w-]+)\)", what)[0] in {heading.lower().replace(" ", "-") for heading in headings}
    texts = []
    for path in map(ROOT.joinpath, re.findall(r"`([\w/.]+)`", place)):
        files = [path] if path.is_file() else [file for file in path.rglob("*.py") if file.name[0] != "_"]
        assert files, f"{path} is neither a file nor a folder with files"
        texts += [file.read_text(encoding="utf-8") for file in files]
    for name in re.findall(r"`([A-Z]+)`", defines):
        assert any(re.search(rf"^{name}\b.* = ", text, re.MULTILINE) for text in texts), f"no file there defines {name}"
    assert (ROOT.parent / example.strip("`")).is_file()
