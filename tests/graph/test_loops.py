"""Loops: a scan keeps its number of steps free, whatever else is written out for the example."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

import nalu_export
from nalu_export import NALU
from nalu_export.api.artifact import read_artifact
from nalu_export.formats import FormatName
from nalu_export.graph import Example, ModelGraph, capture
from nalu_export.graph.example import INPUT
from nalu_export.graph.interface import BATCH, Port, positional
from nalu_export.graph.loops import MAX_STEPS, Loop, loops_of
from nalu_export.modules import jit

# torch compiles the step of a scan when the model itself runs, and warns of its own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
STEPS = {"dynamic_shapes": {"x": {1: "time"}}}


class Scanned(nn.Module):
    """A cell with its own state, as a scan: the last state, and that of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALU(5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        def step(h: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
            new = self.cell(torch.cat([xt, h], -1))
            return new, new.clone()

        last, every = scan(step, x.new_zeros(x.shape[0], 2), x.transpose(0, 1), dim=0)
        return last, every.transpose(0, 1)


class Rest(Scanned):
    """Two are scanned, and something from outside is added in each step."""

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:  # type: ignore[override]
        def step(h: tuple[Tensor], xt: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor], tuple[Tensor]]:
            new = self.cell(torch.cat([xt[0] * xt[1], h[0]], -1)) + bias
            return (new,), (new * 2,)

        given = x.transpose(0, 1)
        _, (every,) = scan(step, (x.new_zeros(x.shape[0], 2),), (given, given.flip(0)), dim=0)
        return every.sum(0)  # type: ignore[no-any-return]


class OpaqueStep(Scanned):
    """A step that is more than primitives."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRUCell(3, 2)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        def step(h: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
            new = self.cell(torch.cat([xt, self.gru(xt, h)], -1))
            return new, new.clone()

        return scan(step, x.new_zeros(x.shape[0], 2), x.transpose(0, 1), dim=0)[0]  # type: ignore[no-any-return]


class While(Scanned):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        def there_is_more(i: Tensor, h: Tensor) -> Tensor:
            return i < x.shape[1]

        def step(i: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            xt = x.index_select(1, i.reshape(1)).squeeze(1)
            return i + 1, self.cell(torch.cat([xt, h], -1))

        return while_loop(there_is_more, step, (torch.tensor(0), x.new_zeros(x.shape[0], 2)))[1]  # type: ignore[no-any-return, no-untyped-call]


class ZeroState(nn.Module):
    """A recurrent cell as stable-nalu has it: its state comes from ``zero_state``, its steps from a Python loop."""

    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.add = 2, NALU(5, 2)

        def zero_state(self, samples: int) -> Tensor:
            return torch.zeros(samples, self.hidden)

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            return self.add(torch.cat([x, h], 1))  # type: ignore[no-any-return]

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = self.Cell()

    def forward(self, x: Tensor) -> Tensor:
        h = self.recurrent.zero_state(x.size(0))
        for step in range(x.size(1)):
            h = self.recurrent(x[:, step], h)
        return h


def built(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def captured(model: nn.Module, *tensors: Tensor) -> ModelGraph:
    names = [INPUT] if len(tensors) == 1 else ["x", "bias"]
    shapes: list[tuple[Any, ...]] = [(BATCH, "time", 3), (BATCH, 2)]
    ports = [Port(n, n, x.dtype, shape) for n, x, shape in zip(names, tensors, shapes, strict=False)]
    return capture(model, Example(tensors, tuple(ports), positional(len(tensors))))


def test_a_scan_is_one_loop_whose_step_is_a_subgraph() -> None:
    graph = captured(built(Scanned), torch.rand(3, 4, 3))
    ((path, loop),) = loops_of(graph.flat)
    assert (path, loop.carried, loop.scanned) == ("loop", 1, 1)
    ((name, subgraph),) = graph.subgraphs.items()
    assert (name, subgraph.loop, subgraph.place) == ("cell.layers.0", "loop", "loop")
    assert [spec.shape for spec in subgraph.inputs] == [(3, 2), (3, 3)]
    assert graph.interface.outputs[1].shape == (BATCH, "time", 2)


@pytest.mark.slow
def test_a_loop_gives_what_it_runs() -> None:
    graph = captured(built(Rest), torch.rand(3, 4, 3), torch.rand(3, 2))
    ((_, loop),) = loops_of(graph.flat)
    h, x, y, bias = torch.rand(3, 2), torch.rand(6, 3, 3), torch.rand(6, 3, 3), torch.rand(3, 2)
    last, every = loop(h, x, y, bias)
    for step in range(6):
        h, found = loop.body(h, x[step], y[step], bias)
        torch.testing.assert_close(every[step], found)
    torch.testing.assert_close(last, h)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "compute", "weights"),
    [("onnx", "float32", "folded"), ("onnx", "float64", "live"), ("torchscript", "float32", "folded")],
)
@pytest.mark.parametrize(
    ("model", "example"), [(Scanned, torch.ones(1, 4, 3)), (Rest, (torch.ones(1, 4, 3), torch.ones(1, 2)))]
)
def test_its_number_of_steps_stays_free(
    model: type[nn.Module], example: Any, kind: FormatName, compute: str, weights: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"compute": compute, "weights": weights, "example_inputs": example, **STEPS}
    artifact = nalu_export.export(built(model), tmp_path / "model", format=kind, **options)
    assert artifact.report.passed
    assert artifact.metadata["inputs"][0]["shape"] == [BATCH, "time", 3]
    x, bias = torch.rand(2, 11, 3), torch.rand(2, 2)
    given = [x, bias] if model is Rest else [x]
    if kind == "onnx":
        session = onnxruntime.InferenceSession(artifact.data)
        names = [each.name for each in session.get_inputs()]
        found = session.run(None, {name: each.numpy() for name, each in zip(names, given, strict=True)})[0]
    else:
        result = jit.load(artifact.data)(*given)
        found = (result[0] if isinstance(result, tuple) else result).numpy()
    wanted = built(model)(*given)
    wanted = (wanted[0] if isinstance(wanted, tuple) else wanted).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_fault_in_the_step_is_found(tmp_path: Path) -> None:
    options: dict[str, Any] = {"example_inputs": torch.ones(1, 4, 3), **STEPS}
    artifact = nalu_export.export(built(Scanned), tmp_path / "m.onnx", **options)
    proto = onnx.load_from_string(artifact.data)
    weight = next(tensor for tensor in proto.graph.initializer if tensor.name == "cell.layers.0.W")
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.0001), weight.name))
    path = tmp_path / "wrong.onnx"
    path.write_bytes(proto.SerializeToString())
    report = nalu_export.check(built(Scanned), read_artifact(path), **options)
    assert not report.passed
    assert any(row.failed for row in report.rows if row.distribution == "cell.layers.0 isolated")


@pytest.mark.slow
@pytest.mark.parametrize("model", [OpaqueStep, While, ZeroState])
def test_other_loops_are_written_out_and_that_is_said(model: type[nn.Module], tmp_path: Path) -> None:
    options: dict[str, Any] = {"example_inputs": torch.ones(1, 4, 3), **STEPS}
    artifact = nalu_export.export(built(model), tmp_path / "model.onnx", **options)
    assert artifact.report.passed
    assert artifact.metadata["inputs"][0]["shape"] == [BATCH, 4, 3]
    assert any(note.startswith("time is fixed at 4: forward loops over it") for note in artifact.notes)


@pytest.mark.slow
def test_a_loop_of_too_many_steps_is_refused(tmp_path: Path) -> None:
    x = torch.ones(1, MAX_STEPS + 1, 3)
    text = rf"^OpaqueStep cannot be captured: a loop takes {MAX_STEPS + 1} steps, and at most {MAX_STEPS} are unrolled"
    with pytest.raises(nalu_export.errors.UnsupportedLayerError, match=text):
        nalu_export.export(built(OpaqueStep), tmp_path / "model.onnx", example_inputs=x)


@pytest.mark.slow
def test_a_header_holds_one_step(tmp_path: Path) -> None:
    options: dict[str, Any] = {"example_inputs": torch.ones(1, 4, 3), **STEPS}
    artifact = nalu_export.export(built(Scanned), tmp_path / "model.hpp", format="cpp", **options)
    assert artifact.report.passed
    assert [row["shape"] for row in artifact.metadata["inputs"]] == [[BATCH, 2], [BATCH, 3]]


def test_an_empty_loop_has_no_state_to_give() -> None:
    step = torch.fx.symbolic_trace(nn.Identity())
    with pytest.raises(IndexError):
        Loop(step, 1, 1)(torch.ones(2))
