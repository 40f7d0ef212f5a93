"""Imports run one way: cli → exporting … → parity, preparing → runtimes, formats → weights, graph → primitives."""

import ast
from pathlib import Path

import pytest

import nalu_export

ROOT = Path(nalu_export.__file__).parent

# What each part may import of the package; `errors` may be imported by all, and each part by itself.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "nn": set(),
    "files": set(),
    "text": set(),
    "_plugins": set(),
    "_exclusive": set(),
    "_jit": {"_exclusive"},
    "_wire": set(),
    "assumption": set(),
    "json_text": set(),
    "copying": set(),
    "memory": set(),
    "supervisor": set(),
    "targets": {"files"},
    "entry": {"supervisor", "cli"},
    "primitives": set(),
    "graph": {"memory", "copying", "_exclusive", "nn", "primitives", "text"},
    "weights": {"copying", "graph", "primitives"},
    "checkpoints": {
        "json_text", "targets", "assumption", "copying", "_exclusive", "nn", "files", "text", "_plugins", "_jit",
    },
    "source": {"copying", "checkpoints", "graph", "text"},
    "inputs": {"copying", "nn", "graph"},
    "input_files": {"_exclusive", "files", "text"},
    "example_inputs": {"copying", "graph", "text"},
    "input_specs": {"example_inputs", "graph", "text"},
    "integer_ranges": {"graph"},
    "sizes": {"example_inputs", "graph"},
    "real_inputs": {"graph", "parity", "text"},
    "preparing": {
        "checkpoints", "source", "graph", "inputs", "example_inputs", "input_specs", "integer_ranges", "sizes", "text",
    },
    "formats": {"json_text", "copying", "_exclusive", "primitives", "graph", "weights", "text", "_jit", "_plugins"},
    "runtimes": {"json_text", "_exclusive", "formats", "graph", "_jit", "_plugins", "text", "_wire"},
    "parity": {"memory", "assumption", "copying", "graph", "primitives", "weights", "runtimes"},
    "promises": {"formats", "parity", "text"},
    "reports": {"parity", "text", "_plugins"},
    "artifact": {"json_text", "assumption", "files", "formats"},
    "environment": {"__init__"},
    "statistics": {"nn", "graph", "text"},
    "verifying": {"graph", "formats", "runtimes", "parity", "weights", "text"},
    "exporting": {
        "targets", "nn", "files", "checkpoints", "graph", "weights", "formats", "parity", "artifact", "example_inputs",
        "sizes", "preparing", "statistics", "verifying", "text", "__init__",
    },
    "checking": {
        "graph", "weights", "formats", "runtimes", "parity", "artifact", "input_specs", "real_inputs", "sizes",
        "preparing", "promises", "statistics", "environment", "verifying", "text",
    },
    "doctor": {"assumption", "nn", "checkpoints", "source", "graph", "inputs", "preparing", "statistics", "text"},
    "inspecting": {
        "files", "checkpoints", "source", "graph", "preparing", "formats", "artifact", "statistics", "doctor",
    },
    "converting": {"targets", "assumption", "checkpoints", "files"},
    "_golden_codec": {"weights", "text", "_wire"},
    "golden": {
        "targets", "assumption", "nn", "primitives", "files", "graph", "weights", "parity", "input_files", "preparing",
        "_golden_codec",
    },
    "cli": {
        "assumption", "memory", "supervisor", "targets", "formats", "runtimes", "parity", "artifact", "exporting",
        "checking", "inspecting", "converting",
        "checkpoints", "doctor", "files", "input_files", "input_specs", "real_inputs", "reports", "text", "golden",
        "__init__",
    },
    "testing": {
        "targets", "checking", "exporting", "checkpoints", "artifact", "input_files", "real_inputs", "files", "formats",
        "reports", "parity", "preparing", "text", "cli", "__init__",
    },
    "__main__": {"entry"},
}  # fmt: skip


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


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_part_may(path: Path) -> None:
    part = _part(path)
    assert part in ALLOWED, f"{part} is new: say in ALLOWED what it may import"
    extra = _imported(ast.parse(path.read_text(encoding="utf-8"))) - ALLOWED[part] - {part, "errors"}
    assert not extra, f"{part} imports {sorted(extra)}"


def test_no_entry_is_stale() -> None:
    assert set(ALLOWED) == {_part(path) for path in FILES}


@pytest.mark.parametrize(
    "path", [*FILES, *sorted(ROOT.rglob("*.[hc]pp"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
