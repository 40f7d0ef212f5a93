"""TorchScript, and what can be seen inside it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from nalu_export import NALU, BackboneHead, InputError, runtimes
from nalu_export.modules import jit
from nalu_export.runtimes.base import RunOptions, Session
from tests.alone import run_one


class _Arithmetic(nn.Module):
    """Traced by fx, so that its variables have names: ``layers_0_a``, ``layers_0_m``, and a nameless result."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 3, bias=False)])

    def forward(self, x: Tensor) -> Tensor:
        layers_0_a = nn.functional.linear(x, self.layers[0].weight)  # type: ignore[arg-type]
        layers_0_m = torch.exp(layers_0_a)
        return layers_0_a * layers_0_m


class _Twice(nn.Module):
    """Calls its part twice, inside a submodule, with another part beside it."""

    def __init__(self, part: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.inner = _Inner(part)
        self.other = other

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.inner(x) + self.other(x)
        return result


class _Inner(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(x) + self.head(x * 2.0)
        return result


def _traced(part: nn.Module) -> nn.Module:
    graph = fx.Tracer().trace(part)
    names = iter(("layers_0_a", "layers_0_m"))
    for node in list(graph.nodes):
        if node.op == "call_function" and (name := next(names, None)):
            node.name = name
    return jit.trace(fx.GraphModule(part, graph), (torch.zeros(2, 4),))


def _float64(array: NDArray[np.generic]) -> NDArray[np.float64]:
    return array.astype(np.float64)


def _weight(part: nn.Module) -> NDArray[np.float32]:
    array: NDArray[np.float32] = part.get_parameter("layers.0.weight").detach().numpy()
    return array


@pytest.fixture
def part() -> _Arithmetic:
    return _Arithmetic()


def _session(module: nn.Module) -> Session:
    with jit.quiet():
        scripted = torch.jit.script(module)
    return runtimes.get("torchscript").load(module, jit.save(scripted, {}), RunOptions())


def test_values_by_their_names(part: _Arithmetic, batch: NDArray[np.float32]) -> None:
    session = _session(_traced(part))
    seen = session.values([batch], ["layers.0.a", "layers.0.m", "layers.0.weight", "layers.0.nope", "nope"])
    assert list(seen) == ["layers.0.weight", "layers.0.a", "layers.0.m"]
    weight = _weight(part)
    np.testing.assert_array_equal(seen["layers.0.weight"], weight)
    a, m = _float64(seen["layers.0.a"]), _float64(seen["layers.0.m"])
    np.testing.assert_allclose(a, batch @ weight.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(m, np.exp(batch @ weight.T), rtol=1e-5)
    np.testing.assert_allclose(_float64(run_one(session, batch)), a * m, rtol=1e-6)
    assert session.values([batch], []) == {}


def test_parts_are_told_apart_and_calls_are_counted(part: _Arithmetic, batch: NDArray[np.float32]) -> None:
    other = _Arithmetic()
    session = _session(_Twice(_traced(part), _traced(other)))
    names = ["inner.head.layers.0.a", "inner.head.layers.0.a#2", "inner.head.layers.0.a#3", "other.layers.0.a"]
    seen = session.values([batch], names)
    assert list(seen) == [names[0], names[1], names[3]]
    mine, theirs = _weight(part), _weight(other)
    np.testing.assert_allclose(_float64(seen[names[0]]), batch @ mine.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_float64(seen[names[1]]), 2 * batch @ mine.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_float64(seen[names[3]]), batch @ theirs.T, rtol=1e-5, atol=1e-6)


def test_an_exported_model_of_images(image_model: BackboneHead, load: Callable[..., Session]) -> None:
    session = load("torchscript", image_model, (1, 16, 16))
    x = np.random.default_rng(0).uniform(0, 0.1, (2, 1, 12, 8)).astype(np.float32)
    before = run_one(session, x)
    assert list(session.values([x], ["head.layers.0.W", "head.layers.0.V"])) == ["head.layers.0.W"]
    np.testing.assert_array_equal(run_one(session, x), before)


def test_an_exported_head(nalu: NALU, load: Callable[..., Session], batch: NDArray[np.float32]) -> None:
    session = load("torchscript", nalu)
    assert session.where.endswith("TorchScript, CPU")
    np.testing.assert_array_equal(session.values([batch], ["layers.0.W"])["layers.0.W"].shape, (5, 4))


class _Text(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return x, "text"


def test_a_module_that_gives_no_tensor() -> None:
    session = _session(_Text())
    with pytest.raises(InputError, match=r"^TorchScript: the module returns str, not a tensor$"):
        session.run([np.ones((1, 4), np.float32)])
