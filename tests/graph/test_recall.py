"""nalu_export.graph.recall: models of one structure share a graph, and nothing else."""

import gc
import weakref
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nalu_export
from nalu_export import NAC, NALU, NALUCell
from nalu_export.graph import recall
from nalu_export.graph.capture import capture
from nalu_export.graph.example import Example
from nalu_export.graph.recall import recalled, remember


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> "OrderedDict[Any, Any]":
    """No structure is known at the start."""
    found: OrderedDict[Any, Any] = OrderedDict()
    monkeypatch.setattr(recall, "_KEPT", found)
    return found


def _example(model: nn.Module, samples: int = 3) -> Example:
    rng = torch.Generator().manual_seed(0)
    features = next(iter(model.parameters())).shape[-1]
    return Example.of(torch.rand(samples, features, generator=rng))


def _remembered(model: nn.Module) -> None:
    example = _example(model)
    remember(capture(model, example), example)


def _drawn(seed: int, *sizes: int, **options: Any) -> NALU:
    torch.manual_seed(seed)
    return NALU(*sizes, **options).eval()


@pytest.mark.parametrize(
    ("name", "weights"),
    [("onnx", "folded"), ("onnx", "live"), ("torchscript", "folded"), ("torchscript", "live"), ("cpp", "folded")],
)
def test_the_same_bytes_as_those_of_a_capture(name: Any, weights: Any, kept: "OrderedDict[Any, Any]") -> None:
    options: Any = {"format": name, "weights": weights, "check": False}
    structures: list[tuple[tuple[int, ...], dict[str, Any]]] = [
        ((3, 4, 2), {}),
        ((3, 2), {"tied": False, "gate": "row"}),
    ]
    for sizes, more in structures:
        expected = nalu_export.export(_drawn(1, *sizes, **more), **options).data
        kept.clear()
        nalu_export.export(_drawn(0, *sizes, **more), **options)
        assert len(kept) == 1
        assert nalu_export.export(_drawn(1, *sizes, **more), **options).data == expected
        kept.clear()


def test_a_recalled_graph_passes_its_check(kept: "OrderedDict[Any, Any]") -> None:
    for seed in range(2):
        assert nalu_export.export(_drawn(seed, 3, 2)).report.passed
    assert len(kept) == 1


def test_the_graph_has_the_weights_of_its_model() -> None:
    _remembered(_drawn(0, 3, 2))
    model = _drawn(1, 3, 2)
    found = recalled(model, _example(model))
    assert found is not None
    assert found.module is model
    assert dict(found.flat.named_parameters()) == dict(model.named_parameters())
    assert found.whole is not None
    assert dict(found.whole.module.named_parameters()) == dict(model.named_parameters())


class _Mine(NALUCell):
    """A user's own: its forward may look at weights."""


def _hooked() -> nn.Module:
    model = _drawn(1, 3, 2)
    model.register_forward_hook(lambda *_: None)
    return model


def _tied() -> nn.Module:
    model = _drawn(1, 3, 3, 3)
    first, second = model.get_submodule("layers.0"), model.get_submodule("layers.1")
    second.W_hat = first.W_hat
    return model


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda: _drawn(0, 3, 2), lambda: _drawn(1, 3, 2, eps=1e-7)),
        (lambda: _drawn(0, 3, 2), lambda: _drawn(1, 3, 3)),
        (lambda: _drawn(0, 3, 2), lambda: _drawn(1, 3, 2).double()),
        (lambda: NAC(3, 2).eval(), lambda: _drawn(1, 3, 2)),
        (lambda: _drawn(0, 3, 2), _hooked),
        (lambda: _drawn(0, 3, 3, 3), _tied),
        (lambda: _Mine(3, 2).eval(), lambda: _Mine(3, 2).eval()),
        (lambda: nn.Sequential(NALU(3, 2)).eval(), lambda: nn.Sequential(NALU(3, 2)).eval()),
    ],
    ids=["eps", "shape", "type", "class", "hook", "one tensor twice", "a user's class", "a container"],
)
def test_another_structure_is_captured(before: Any, after: Any) -> None:
    _remembered(before())
    model = after()
    assert recalled(model, _example(model)) is None


def test_another_example_is_captured() -> None:
    _remembered(_drawn(0, 3, 2))
    model = _drawn(1, 3, 2)
    assert recalled(model, _example(model, 4)) is None


def test_a_graph_that_does_not_compute_the_model_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of a layer was replaced after the capture."""
    _remembered(_drawn(0, 3, 2))
    model = _drawn(1, 3, 2)
    product = NALUCell.product

    def doubled(self: NALUCell, x: Tensor, W: Tensor) -> Tensor:
        return 2.0 * product(self, x, W)

    monkeypatch.setattr(NALUCell, "product", doubled)
    assert recalled(model, _example(model)) is None

    def forward(self: NALUCell, x: Tensor) -> Tensor:
        return torch.exp(x @ self.G.T)

    monkeypatch.undo()
    monkeypatch.setattr(NALUCell, "forward", forward)
    assert recalled(model, _example(model)) is None


def test_no_weights_are_kept(kept: "OrderedDict[Any, Any]") -> None:
    first, second = _drawn(0, 3, 2), _drawn(1, 3, 2)
    example = _example(first)
    graph = capture(first, example)
    remember(graph, example)
    again = recalled(second, example)
    assert again is not None
    assert graph.whole is not None
    assert again.whole is not None
    # A capture has copies of the model's tensors.
    holders = (first, second, graph.flat, graph.whole.module, again.flat, again.whole.module)
    tensors = [weakref.ref(value) for holder in holders for value in holder.parameters()]
    del first, second, graph, again, holders
    gc.collect()
    assert len(kept) == 1
    assert [tensor() for tensor in tensors] == [None] * len(tensors)


def test_only_some_are_kept(kept: "OrderedDict[Any, Any]") -> None:
    for size in range(1, recall.MOST + 3):
        _remembered(_drawn(0, 3, size))
    assert len(kept) == recall.MOST
    first = _drawn(1, 3, 1)
    assert recalled(first, _example(first)) is None
