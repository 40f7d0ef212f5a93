"""nalu_export.graph.tracing: user modules are entered, layers of torch stay one call, nodes know their place."""

import threading
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from nalu_export import NALUCell
from nalu_export.graph.places import place_of, stack_of
from nalu_export.graph.tracing import TRANSPARENT, is_parametrised, traced
from tests.captured import CALL


class _Block(nn.Module):
    """A user's block of layers of torch and of one of its own."""

    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("shift", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.norm(self.conv(x)))
        scaled = y * self.scale
        return scaled + self.shift


def _modules(flat: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in flat.graph.nodes if node.op == "call_module"]


def test_layers_of_torch_stay_and_all_else_is_entered() -> None:
    model = nn.Sequential(_Block(), nn.Sequential(nn.MaxPool2d(2), nn.Flatten()), nn.Linear(8, 3), NALUCell(3, 2))
    flat = traced(model.eval(), CALL)
    assert _modules(flat) == ["0.conv", "0.norm", "1.0"]
    # Buffers are read like parameters: an ε may be one.
    read = [node.target for node in flat.graph.nodes if node.op == "get_attr"]
    assert {"0.scale", "0.shift", "2.weight", "2.bias", "3.W_hat"} <= set(read)
    x = torch.rand(2, 1, 6, 6)
    torch.testing.assert_close(flat(x), model(x))


def test_every_layer_that_is_entered_computes_what_it_does() -> None:
    arguments: dict[type[nn.Module], tuple[Any, ...]] = {nn.Linear: (4, 4), nn.Unflatten: (1, (2, 2))}
    for kind in TRANSPARENT:
        # A plane or a volume for dropout of channels.
        x = torch.rand(3, 4, *[2] * {"Dropout1d": 1, "Dropout2d": 2, "Dropout3d": 3}.get(kind.__name__, 0)) * 4 - 2
        model = nn.Sequential(kind(*arguments.get(kind, ()))).eval()
        flat = traced(model, CALL)
        assert not _modules(flat), kind
        torch.testing.assert_close(flat(x), model(x), rtol=0, atol=0)


def test_a_layer_derived_from_one_of_torch_is_the_users() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's name
            return 2.0 * super().forward(input)

    class Wrapped(nn.Conv2d):
        pass

    assert not _modules(traced(nn.Sequential(Doubled(3, 3)), CALL))
    assert not _modules(traced(nn.Sequential(Wrapped(1, 1, 1)), CALL))


def test_parametrised_layers_are_entered() -> None:
    """Their weight is computed in each forward."""
    new, other = parametrizations.weight_norm(nn.Conv2d(1, 2, 3)), nn.Conv2d(2, 2, 1)
    assert is_parametrised(new)
    assert not is_parametrised(other)
    model = nn.Sequential(new, other)
    flat = traced(model.eval(), CALL)
    assert "0" not in _modules(flat)
    assert "1" in _modules(flat)
    x = torch.rand(2, 1, 5, 5)
    torch.testing.assert_close(flat(x), model(x))


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = NALUCell(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = self.cell(self.cell(x))
        return first * 2.0


def test_nodes_know_the_calls_they_are_in() -> None:
    flat = traced(nn.Sequential(_Twice()), CALL)
    exponentials = [node for node in flat.graph.nodes if node.target is torch.exp]
    stacks = [[(call.path, call.number, call.type.__name__) for call in stack_of(node)] for node in exponentials]
    assert stacks == [[("", 0, "Sequential"), ("0", 0, "_Twice"), ("0.cell", number, "NALUCell")] for number in (0, 1)]


def test_nodes_know_their_line_and_the_variable_that_it_assigns() -> None:
    first = _Block.forward.__code__.co_firstlineno
    flat = traced(_Block(), CALL)
    places = {node.name: place_of(node) for node in flat.graph.nodes if node.op.startswith("call")}
    found = [(PurePath(p.file).name, p.line - first, p.variable) for p in places.values() if p is not None]
    here = PurePath(__file__).name
    assert [(file, line) for file, line, _ in found] == [(here, 1)] * 3 + [(here, 2), (here, 3)]
    assert [variable for *_, variable in found] == ["y", "y", "y", "scaled", "y"]


def test_what_another_thread_runs_meanwhile_is_not_in_the_graph() -> None:
    other, started, go = NALUCell(3, 2), threading.Event(), threading.Event()
    x, results = torch.rand(2, 3), []

    def running() -> None:
        started.set()
        go.wait(60)
        results.append(other(x))

    class Waits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            go.set()
            thread.join(60)
            return x * 2.0

    thread = threading.Thread(target=running)
    thread.start()
    started.wait(60)
    flat = traced(Waits(), CALL)
    assert [node.op for node in flat.graph.nodes] == ["placeholder", "call_function", "output"]
    torch.testing.assert_close(results[0], other(x))
