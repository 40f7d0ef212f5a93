"""nalu_export.reports.terminal.inspection: what a terminal shows of models and files."""

import io
from typing import Any

import pytest
from rich.console import Console

from nalu_export.reports.terminal.inspection import MAX_LINES, show_inspection

SUBGRAPH = {
    "path": "head",
    "type": "Head",
    "whole": True,
    "calls": 1,
    "why": "it computes log of a value that depends on the input",
    "captured_by": "torch.fx",
    "inputs": [["batch", 3]],
    "outputs": [["batch", 2], ["batch", 1]],
    "formula": ["y = log(x)"],
}
NEAR = {"settled": 0.5, "at_-1": 0.0, "at_0": 0.5, "at_1": 0.0, "farthest": 0.25}


def shown(found: dict[str, Any]) -> list[str]:
    stream = io.StringIO()
    show_inspection(Console(file=stream, width=100, no_color=True, highlight=False, emoji=False), found)
    assert "\x1b" not in stream.getvalue()
    return stream.getvalue().splitlines()


def test_a_subgraph() -> None:
    lines = shown({"layers": [], "subgraphs": [SUBGRAPH]})
    assert lines == [
        "no effective weights, gates or eps",
        "",
        "arithmetic subgraph head: Head",
        "  why: it computes log of a value that depends on the input; captured by torch.fx",
        "  (batch, 3) → (batch, 2) and (batch, 1)",
        "  y = log(x)",
        "",
    ]
    (line,) = shown({"subgraphs": [SUBGRAPH | {"path": "", "calls": 3, "whole": False}]})[2:3]
    assert line == "arithmetic subgraph (model): in Head, called 3 times"


def test_a_long_formula_is_cut() -> None:
    lines = shown({"subgraphs": [SUBGRAPH | {"formula": [f"v{k} = x" for k in range(MAX_LINES + 2)]}]})
    assert lines[-3:] == [f"  v{MAX_LINES - 1} = x", "  … 2 more lines; --json has all of them", ""]


def test_several_gates_of_a_layer_and_one_of_something_else() -> None:
    row = {"path": "a", "type": "T", "in_features": 2, "out_features": 1}
    gates = {"gate": {"add": 1.0, "multiply": 0.0}, "gate_2": {"open": 0.5, "shut": 0.0}}
    lines = [" ".join(line.split()) for line in shown({"layers": [row], "weights": {"a": {"W": NEAR} | gates}})]
    assert lines[2:4] == ["a T 2 → 1 W 0% 50% 0% 0.25 100% 0%", "– –"]


@pytest.mark.parametrize(
    "row",
    [
        {"weights": 5, "gates": "x", "eps_is": 7},
        {"weights": {"W": 5, "[red]": "[/b]\x1b", "V": "V", "N": None}, "gates": [3, {"sum": 5, "x": "y"}]},
        {"gates": [{"sum": "g", "constants": {"g": "sigmoid(\x1b[31mG)"}}], "eps_is": "\x1b[0m", "eps": "[/x]"},
        {"gates": [{"sum": "g", "constants": [1]}]},
        {"in_features": [1], "out_features": {"a": None}, "region": "\n"},
    ],
    ids=str,
)
def test_any_layer_table_of_a_file(row: dict[str, Any]) -> None:
    lines = shown({"kind": "onnx", "layers": [{"path": "[p]", "type": "\x1b[1mt"} | row], "weights": {}})
    assert any("[p]" in line for line in lines)


def test_each_recipe_is_said_once() -> None:
    rows = [{"path": path, "type": "T", "weights": {"W": "W", "V": "tanh(v)"}} for path in ("", "b", "c")]
    lines = shown({"layers": [*rows, rows[0] | {"path": "d", "weights": {}}], "weights": None})
    assert lines[-5:] == ["", "(model), b, c:", "  W is stored", "  V = tanh(v)", ""]
