"""What pyproject.toml requires is what the package imports, and its lower bounds are what `make oldest` tests with."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.package.archives import ROOT

# Packages whose modules have another name.
MODULES = {"click-default-group": "click_default_group", "protobuf": "google"}
# torch.onnx needs these and requires neither.
FOR_TORCH = {"onnx-ir", "onnxscript"}
# For those who test with pytest; whoever uses the plugin has it.
OPTIONAL = {"pytest"}


def _project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def _bounds(requirements: list[str]) -> dict[str, str]:
    """The lower bound of each package; none may have another condition."""
    found = [re.fullmatch(r"([\w-]+)>=([\d.]+)", text) for text in requirements]
    return {match[1]: match[2] for match in found if match}


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in names}


def test_it_requires_what_it_imports() -> None:
    imported = set[str]().union(*map(_imported, (ROOT / "nalu_export").rglob("*.py")))
    modules = {MODULES.get(name, name) for name in _bounds(_project()["dependencies"]) if name not in FOR_TORCH}
    assert imported - {*sys.stdlib_module_names, "nalu_export", ""} - OPTIONAL == modules


def test_there_is_a_lower_bound_and_no_upper_one() -> None:
    project = _project()
    assert len(_bounds(project["dependencies"])) == len(project["dependencies"])
    assert project["requires-python"] == ">=3.11"


def test_the_lower_bounds_are_tested() -> None:
    project = _project()
    bounds = _bounds(project["dependencies"] + project["optional-dependencies"]["cpu"])
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins.keys() == bounds.keys()
    for name, bound in bounds.items():
        assert f"{pins[name]}.".startswith(f"{bound}."), f"{name}>={bound} is not what is tested: {pins[name]}"
        assert set(pins[name].removeprefix(bound)) <= {".", "0"}, f"{name} {pins[name]} is not the oldest of >={bound}"
