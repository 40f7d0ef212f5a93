"""nalu_export.source.preparing: what every command starts from, and what is no model for any of them."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nalu_export
from nalu_export import NAC, NALU, InputError, NALUCell, ParityError, UnsupportedLayerError
from nalu_export.inputs.example import SAMPLES
from nalu_export.source.preparing import SourceOptions, captured, example_of, prepared
from tests.captured import example_for
from tests.handwritten.cells import CELLS


class Mixing(nn.Module):
    """Each sample is divided by the sum over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.exp(x * self.weight)
        return y / y.sum(0, keepdim=True)


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.cell = NALUCell(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cell(torch.softmax(self.first(x), 1).sort(1)[0])
        return y


def test_the_graph_is_of_a_copy_and_the_model_stays_as_it_is(nalu: NALU) -> None:
    nalu.double().train()
    before = {name: value.clone() for name, value in nalu.state_dict().items()}
    ready = prepared(nalu, SourceOptions())
    assert ready.graph.module is not nalu
    assert not ready.graph.module.training
    assert ready.notes == ()
    assert nalu.training
    assert all(torch.equal(value, before[name]) for name, value in nalu.state_dict().items())
    assert {value.dtype for value in ready.graph.module.state_dict().values()} == {torch.float64}


def test_a_module_written_by_hand_is_arithmetic() -> None:
    ready = prepared(CELLS["EpsLarge"](), SourceOptions())
    assert ready.graph.whole is not None
    assert ready.notes == ()


NO_ARITHMETIC = (
    "holds no arithmetic: its forward computes no log, exp, power, product or quotient of values that depend on the "
    "input, and no matrix product with a weight that tanh, sigmoid or clamp computes; name the arithmetic with "
    "arithmetic='PATH', or use torch.onnx.export"
)


def test_a_model_without_arithmetic_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^Linear {re.escape(NO_ARITHMETIC)}$"):
        prepared(nn.Linear(2, 1), SourceOptions())
    torch.save(nn.Linear(2, 1), tmp_path / "model.pt")
    with pytest.raises(InputError, match=rf"model\.pt: Linear {re.escape(NO_ARITHMETIC)}$"):
        prepared(tmp_path / "model.pt", SourceOptions(trust=True))


def test_the_user_may_call_a_linear_layer_arithmetic() -> None:
    graph = prepared(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), SourceOptions(arithmetic=["1"])).graph
    assert list(graph.subgraphs) == ["1"]
    assert list(prepared(Head(), SourceOptions(arithmetic=[NALUCell])).graph.subgraphs) == ["cell"]


@pytest.mark.parametrize(
    ("target", "kind", "text"),
    [
        ("tail", InputError, "arithmetic is 'tail', but the model runs no module of that path or class; it runs "),
        (nn.Conv2d, InputError, "arithmetic is 'Conv2d', but the model runs no module of that path or class; it runs "),
        ("", UnsupportedLayerError, "Head calls torch.softmax, which is not a primitive; "),
    ],
)
def test_what_is_no_arithmetic_cannot_be_named(target: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(text)}") as caught:
        prepared(Head(), SourceOptions(arithmetic=[target]))
    if kind is InputError:
        assert "'first'" in str(caught.value)
        assert "'cell'" in str(caught.value)


def test_a_function_of_the_batch_is_refused() -> None:
    with pytest.raises(InputError, match="sample"):
        captured(Mixing(), example_for(Mixing()), SourceOptions())


def test_what_is_not_free_is_said() -> None:
    model = nn.Sequential(nn.Flatten(), NAC(6, 2))
    ready = prepared(model, SourceOptions(example_inputs=torch.zeros(1, 2, 3)))
    assert ready.notes == ("the batch is free; the other axes are fixed at 2×3",)
    assert [tuple(x.shape) for x in ready.graph.example] == [(SAMPLES, 2, 3)]


def test_a_size_and_an_example_are_not_both_given(nalu: NALU) -> None:
    options = SourceOptions(input_size=(8, 8), example_inputs=torch.zeros(1, 4))
    with pytest.raises(
        InputError, match=r"^input_size and example_inputs are both given; give one, because an example has "
    ):
        prepared(nalu, options)


def test_an_example_is_the_same_each_time_and_positive() -> None:
    def tensor(model: nn.Module) -> Tensor:
        example, notes = example_of(model, SourceOptions(example_inputs=torch.zeros(1, 2, 5)))
        assert notes == ()
        (found,) = example.tensors
        return found

    x = tensor(NALUCell(5, 2))
    assert torch.equal(x, tensor(NALUCell(5, 2)))
    assert torch.equal(x.double(), tensor(NALUCell(5, 2).double()))
    assert tuple(x.shape) == (SAMPLES, 2, 5)
    assert 0.1 <= float(x.min()) <= float(x.max()) <= 1.0


def test_arithmetic_that_nobody_named_is_said(nalu: NALU, tmp_path: Path) -> None:
    """torch.onnx deletes its ε, and the check sees that; the refusal says where it comes from."""
    note = "layers.0: arithmetic does not name this arithmetic, so torch.onnx may change it, for example its ε"
    assert prepared(nalu, SourceOptions(arithmetic=["layers.1"])).notes == (note,)
    assert prepared(nalu, SourceOptions(arithmetic=["layers.0", "layers.1"])).notes == ()
    with pytest.raises(ParityError, match=rf"; {re.escape(note)}$"):
        nalu_export.export(nalu, tmp_path / "a.onnx", arithmetic=["layers.1"])
