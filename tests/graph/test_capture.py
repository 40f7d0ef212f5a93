"""nalu_export.graph.capture: any module as a graph that is proved to be the module."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU, BackboneHead, NALUCell
from nalu_export.graph import ModelGraph, capture
from nalu_export.graph.evaluation import results_of
from nalu_export.graph.example import Example
from nalu_export.modules.copying import copied
from tests.captured import graph_of
from tests.graph.net import Net


def _same_in_every_batch(graph: ModelGraph, dtype: torch.dtype = torch.float64) -> None:
    """The captured graph, and the host with its subgraphs, are the module."""
    module = copied(graph.module).to(dtype)
    for batch in (1, 2, 7):
        x = torch.rand((batch, 3), generator=torch.Generator().manual_seed(batch)).to(dtype) * 4 - 2
        with torch.no_grad():
            expected = module(x)
        for found in (graph.flat, graph.host):
            if found is not None:
                small = 1e-12 if dtype == torch.float64 else 1e-6
                (result,) = results_of(copied(found).to(dtype), x)
                torch.testing.assert_close(result, expected, rtol=small, atol=small)


def test_the_model_stays_as_it_is(image_model: BackboneHead) -> None:
    image_model.backbone.requires_grad_(False)
    before = {name: (value.clone(), value.requires_grad) for name, value in image_model.named_parameters()}
    graph = graph_of(image_model, (1, 8, 8))
    assert graph.module is image_model
    assert not image_model.training
    for name, value in image_model.named_parameters():
        assert torch.equal(value, before[name][0]), name
        assert value.requires_grad == before[name][1], name
    # Not even its tensors are shared: folding in float64 converts them.
    own = {value.data_ptr() for value in image_model.state_dict().values()}
    assert not own & {value.data_ptr() for value in graph.flat.state_dict().values()}


def test_what_a_capture_is(image_model: BackboneHead) -> None:
    x = torch.rand(3, 1, 8, 8)
    graph = capture(image_model, Example.of(x))
    assert (graph.how, list(graph.subgraphs), graph.whole) == ("torch.fx", ["head"], None)
    (example,), (result,) = graph.example, graph.result
    assert example is x
    torch.testing.assert_close(result, image_model(x).detach())
    assert graph.host is not None
    torch.testing.assert_close(graph.host(x), image_model(x))
    whole = graph_of(NALU(3, 2))
    assert whole.host is None
    assert whole.whole is whole.subgraphs[""]


def test_a_trained_module_that_was_wrapped_in_weight_norm_is_copied() -> None:
    """Its computed weight is part of a graph, which deepcopy refuses."""
    net = nn.Sequential(nn.Linear(3, 3), NALUCell(3, 2))
    with pytest.warns(FutureWarning, match="weight_norm"):
        torch.nn.utils.weight_norm(net[0])
    net(torch.rand(2, 3)).sum().backward()
    _same_in_every_batch(graph_of(net.eval(), (3,)))


# Where torch.fx cannot follow -----------------------------------------------------------------------------------------


def _asserts(x: Tensor, p: Net) -> Tensor:
    assert x.shape[1] == 3
    return torch.exp(x @ p.w)


def _asks_for_the_rank(x: Tensor, p: Net) -> Tensor:
    if x.dim() == 1:
        x = x.unsqueeze(0)
    return torch.exp(x @ p.w)


def _makes_zeros(x: Tensor, p: Net) -> Tensor:
    h = torch.zeros(x.shape[0], 3)
    for _ in range(2):
        h = torch.exp(-torch.abs(x + h @ p.w))
    return h


def _iterates(x: Tensor, p: Net) -> Tensor:
    return torch.stack([torch.exp(column) for column in x.unbind(1)], dim=1)


def _counts(x: Tensor, p: Net) -> Tensor:
    return torch.log(torch.abs(x) + len(p.w)) / x.shape[1:].numel()


def _asks_for_the_type(x: Any, p: Net) -> Tensor:
    """torch.fx answers no, and its graph is a wrong one."""
    if isinstance(x, Tensor):
        return torch.exp(x @ p.w)
    return torch.log(torch.abs(x) + 1.0)


def _changes_a_column(x: Tensor, p: Net) -> Tensor:
    y = x.clone()
    y[:, 0] = torch.exp(x[:, 1])
    return y * 2.0


@pytest.mark.parametrize(
    "function",
    [
        _asserts,
        _asks_for_the_rank,
        _makes_zeros,
        _iterates,
        _asks_for_the_type,
        _changes_a_column,
    ],
)
def test_torch_export_follows_where_fx_cannot(function: Callable[..., Tensor]) -> None:
    graph = graph_of(Net(function), (3,))
    assert graph.how == "torch.export"
    assert graph.subgraphs
    # The zeros are float32, whatever the type of the weights.
    _same_in_every_batch(graph, torch.float32 if function is _makes_zeros else torch.float64)


def test_operations_in_place_are_read_where_they_are() -> None:
    def statements(x: Tensor, p: Net) -> Tensor:
        y = x @ p.w
        y.abs_()
        y += 1.0
        y.log_()
        return F.relu(y, inplace=True) - y

    def results(x: Tensor, p: Net) -> Tensor:
        y = x @ p.w
        z = y.exp_()
        return y * z

    def a_copy(x: Tensor, p: Net) -> Tensor:
        y = x.clone()
        y.mul_(2.0).exp_()
        return y + x

    for function in (statements, results, a_copy):
        graph = graph_of(Net(function), (3,))
        assert (graph.how, graph.host) == ("torch.fx", None)
        _same_in_every_batch(graph)


def test_what_a_view_changes_is_found_by_the_proof() -> None:
    def a_view(x: Tensor, p: Net) -> Tensor:
        y = x @ p.w
        y[:, 1:].exp_()
        return torch.log(torch.abs(y))

    graph = graph_of(Net(a_view), (3,))
    assert graph.how == "torch.export"
    _same_in_every_batch(graph)


def test_names_and_lines_are_known_either_way() -> None:
    for how, function in (("torch.fx", lambda x, p: torch.exp(x @ p.w)), ("torch.export", _asserts)):
        graph = graph_of(nn.Sequential(Net(function), nn.BatchNorm1d(3)).eval(), (3,))
        assert graph.how == how
        subgraph = graph.subgraphs["0"]
        assert (subgraph.path, subgraph.type, subgraph.why) == (
            "0",
            "Net",
            "it computes exp of a value that depends on the input",
        )
        assert list(subgraph.module.state_dict()) == ["w"]
        assert subgraph.parameter("w") == "0.w"
        labels = [node.meta.get("label") for node in subgraph.module.graph.nodes if node.op == "call_function"]
        assert labels[-1] == "y", how


def test_several_results_are_outputs_by_key_or_place() -> None:
    for function, names in (
        (lambda x, p: (x, torch.exp(x)), ["output_0", "output_1"]),
        (lambda x, p: [torch.exp(x)], ["output"]),
        (lambda x, p: {"y": torch.exp(x), "z": x}, ["y", "z"]),
        (lambda x, p: F.max_pool1d(torch.exp(x).unsqueeze(1), 2, return_indices=True), ["output_0", "output_1"]),
        (lambda x, p: (torch.exp(x), None, 2.5), ["output_0", "output_2"]),
    ):
        model = Net(function)
        graph = graph_of(model, (3,))
        assert [port.name for port in graph.interface.outputs] == names
        x = torch.rand(5, 3)
        torch.testing.assert_close(results_of(graph.flat, x), graph.called(model)(x))


def test_arguments_with_defaults_are_their_defaults() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor, scale: float = 2.0, mask: Tensor | None = None, *, power: float = 3.0) -> Tensor:
            y = torch.exp(x * scale) ** power
            return y if mask is None else y * mask

    graph = capture(Net().eval(), Example.of(torch.rand(3, 2)))
    assert graph.how == "torch.fx"
    assert [node.op for node in graph.flat.graph.nodes].count("placeholder") == 1
    x = torch.rand(4, 2)
    torch.testing.assert_close(results_of(graph.flat, x), (Net()(x),))


def test_a_buffer_that_forward_assigns_to() -> None:
    """torch.fx puts a proxy there, which adds to the graph for as long as that is run."""

    class Counting(nn.Module):
        count: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return torch.exp(x)

    graph = capture(Counting().eval(), Example.of(torch.rand(3, 2)))
    x = torch.rand(4, 2)
    torch.testing.assert_close(results_of(graph.flat, x), (torch.exp(x),))


def test_a_module_that_makes_float32_tensors_is_held_in_float32() -> None:
    graph = graph_of(Net(lambda x, p: torch.exp(x.float() @ p.w.float())), (3,))
    torch.testing.assert_close(results_of(graph.flat, *graph.example), graph.result)
    graph = graph_of(Net(lambda x, p: torch.exp(x @ torch.eye(3))), (3,))
    torch.testing.assert_close(results_of(graph.flat, *graph.example), graph.result)


def test_two_threads_capture_at_once_while_a_third_runs_a_model() -> None:
    """torch.fx replaces methods of nn.Module for the whole process while it traces."""
    models = [nn.Sequential(nn.BatchNorm1d(3), NALU(3, 4, 2), NALU(2, 2)).eval() for _ in range(4)]
    busy, expected = NALU(3, 8, 1), None
    x = torch.rand(4, 3)
    expected = busy(x).detach()
    found: list[list[str]] = []
    wrong: list[BaseException] = []
    done = threading.Event()

    def capturing(model: nn.Module) -> None:
        try:
            found.extend(list(graph_of(model, (3,)).subgraphs) for _ in range(5))
        except BaseException as error:  # noqa: BLE001  a thread's error is nobody's
            wrong.append(error)

    def running() -> None:
        try:
            while not done.is_set():
                torch.testing.assert_close(busy(x).detach(), expected, rtol=0, atol=0)
        except BaseException as error:  # noqa: BLE001
            wrong.append(error)

    runner = threading.Thread(target=running)
    threads = [threading.Thread(target=capturing, args=(model,)) for model in models]
    for thread in (runner, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    runner.join()
    assert not wrong
    assert found == [["1", "2"]] * 20
