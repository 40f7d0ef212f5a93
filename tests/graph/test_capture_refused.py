"""nalu_export.graph.capture: what cannot be captured is one line that says why and where."""

import re
import sys
from pathlib import Path, PurePath
from typing import Any

import pytest
import torch
from torch import Tensor

from nalu_export import InputError, UnsupportedLayerError
from nalu_export.graph import capture
from nalu_export.graph.example import Example
from tests.captured import graph_of
from tests.graph.net import Net

HERE = PurePath(__file__).name


def test_what_neither_can_follow_is_one_line_with_the_place() -> None:
    def depends(x: Tensor, p: Net) -> Tensor:
        if x.sum() > 0:
            return torch.exp(x)
        return x

    line = depends.__code__.co_firstlineno + 1
    with pytest.raises(UnsupportedLayerError) as caught:
        graph_of(Net(depends), (3,))
    text = str(caught.value)
    assert text.startswith("Net cannot be captured: ")
    assert text.endswith(f"; at {HERE}, line {line}, in depends: if x.sum() > 0:")
    assert "\n" not in text


def test_a_result_without_tensors_is_refused() -> None:
    for function, given in (
        (lambda x, p: None, "no tensor"),
        (lambda x, p: {}, "no tensor"),
        (lambda x, p: (torch.exp(x), "text"), "a str at [1]"),
        (lambda x, p: {"y": torch.exp(x), "z": {"w": 1j}}, "a complex at ['z']['w']"),
        (lambda x, p: torch.exp(x).to_sparse(), "sparse_coo"),
        (lambda x, p: torch.complex(torch.exp(x), x), "complex64"),
    ):
        with pytest.raises(UnsupportedLayerError, match=f"^Net returns {re.escape(given)}; only models that return "):
            graph_of(Net(function), (3,))


def test_results_without_samples_on_the_first_axis_are_refused() -> None:
    for function, given in (
        (lambda x, p: torch.exp(x).sum(), "a tensor of shape () for 3 samples; the first axis of the result has to"),
        (lambda x, p: torch.exp(x)[1:], "a tensor of shape (2, 3) for 3 samples; the first axis of the result has to"),
        (lambda x, p: (x, torch.exp(x).T[:2]), "a tensor of shape (2, 3) for 3 samples at [1]; the first axis of the"),
    ):
        with pytest.raises(UnsupportedLayerError, match=f"^Net returns {re.escape(given)}"):
            graph_of(Net(function), (3,))


def test_what_does_not_run_is_one_line_with_the_place() -> None:
    def by_key(x: Any, p: Any) -> Any:
        return {"a": x}["b"]

    def by_exit(x: Any, p: Any) -> Any:
        raise SystemExit(3)

    for function, what in ((by_key, "KeyError: 'b'"), (by_exit, "SystemExit: 3")):
        line = function.__code__.co_firstlineno + 1
        here = f"at {HERE}, line {line}, in {function.__name__}"
        start = f"Net.forward(x) does not run on input float32 (3, 3): {what}; {here}: "
        with pytest.raises(InputError, match=f"^{re.escape(start)}[^\n]+$"):
            capture(Net(function).eval(), Example.of(torch.rand(3, 3)))


def test_code_of_the_user_is_known_by_where_it_is_and_not_by_a_word_in_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "torch" / "nalu_export"
    folder.mkdir(parents=True)
    file = folder / "net.py"
    file.write_text("def forward(x, p):\n    return x[9]\n")
    space: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    with pytest.raises(InputError, match=r"; at net\.py, line 2, in forward: return x\[9\]$"):
        capture(Net(space["forward"]).eval(), Example.of(torch.rand(3, 3)))


def test_a_graph_that_is_not_the_module_is_no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof by mutation: any other number in the graph is seen."""

    def wrong(flat: Any, values: Any) -> None:
        for node in flat.graph.nodes:
            node.args = tuple(1.001 if argument == 1.0 else argument for argument in node.args)

    monkeypatch.setattr(sys.modules["nalu_export.graph.capture"], "canonicalise", wrong)
    with pytest.raises(UnsupportedLayerError, match="the captured graph does not compute what the module computes"):
        graph_of(Net(lambda x, p: torch.log(torch.abs(x) + 1.0)), (3,))
