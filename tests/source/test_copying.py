"""A copy that can be exported, of a module that stays as it is."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from nalu_export import NALU
from nalu_export.source import copied, prepare

X = torch.linspace(-2, 3, 12).reshape(4, 3)


def old(norm: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """A layer under one of torch's old norms, which keeps its weight as part of a graph; it ran and has gradients."""
    layer = norm(nn.Linear(3, 2))
    layer(X).sum().backward()
    return layer


def weight_norm(module: nn.Module) -> nn.Module:
    result: nn.Module = torch.nn.utils.weight_norm(module)
    return result


class Attributes(nn.Module):
    """Tensors that no module knows: alone, in containers, part of a graph, with a gradient, one of them twice."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, dtype=dtype))
        self.twice = self.scale * 2
        self.more: list[Any] = [self.twice, {"leaf": torch.ones(3, dtype=dtype, requires_grad=True)}]
        self.register_buffer("mask", torch.full((3,), -torch.inf, dtype=dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x * self.scale + self.twice + self.more[0] + self.more[1]["leaf"]
        return torch.maximum(result, self.get_buffer("mask"))


def inplace(module: nn.Module) -> dict[str, Any]:
    """What must not change: mode, values, gradients, hooks."""
    return {
        "training": [part.training for part in module.modules()],
        "values": [(name, value.clone(), value.dtype) for name, value in module.state_dict().items()],
        "gradients": [(value.requires_grad, value.grad) for value in module.parameters()],
        "hooks": [[list(vars(part)[name]) for name in vars(part) if "hooks" in name] for part in module.modules()],
    }


@pytest.mark.filterwarnings("ignore:.*weight_norm")
def test_any_module_is_copied_and_stays_as_it_is() -> None:
    models: dict[str, nn.Module] = {
        "old weight_norm": old(weight_norm),
        "old spectral_norm": old(torch.nn.utils.spectral_norm),
        "weight_norm": parametrizations.weight_norm(nn.Linear(3, 2)),
        "spectral_norm": parametrizations.spectral_norm(nn.Linear(3, 2)),
        "orthogonal": parametrizations.orthogonal(nn.Linear(3, 2)),
        "attributes": Attributes(),
        "batch norm": nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), NALU(3, 2)),
    }
    for name, model in models.items():
        model.train()
        before = inplace(model)
        found, notes = copied(model)
        assert notes == (), name
        assert repr(inplace(model)) == repr(before), name
        assert not any(part.training for part in found.modules()), name
        assert not any(value.requires_grad or value.grad is not None for value in found.parameters()), name
        y = found(X)
        assert not y.requires_grad, name
        assert torch.equal(y, model.eval()(X)), name
        kept = {value.data_ptr() for value in model.state_dict().values()}
        assert kept.isdisjoint(value.data_ptr() for value in found.state_dict().values()), name


def test_a_tensor_that_is_there_twice_is_one_in_the_copy() -> None:
    found, _ = copied(Attributes())
    assert isinstance(found, Attributes)
    assert found.twice is found.more[0]


def test_shorter_types_become_float32_and_that_is_said() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        model = nn.Sequential(Attributes(dtype), nn.Linear(3, 2, dtype=dtype))
        found, notes = copied(model)
        assert notes == (f"weights in {str(dtype).removeprefix('torch.')} were converted to float32",)
        assert found(X).dtype == torch.float32
        torch.testing.assert_close(found(X), model(X.to(dtype)).float(), rtol=0.05, atol=0.05)


def test_float64_stays_and_takes_the_rest_along() -> None:
    model = nn.Sequential(nn.Linear(3, 3).double(), nn.Linear(3, 3).half(), Attributes())
    found, notes = copied(model)
    assert notes == ("weights in float16 were converted to float64",)
    assert found(X.double()).dtype == torch.float64
    alone, notes = copied(Attributes(torch.float64))
    assert notes == ()
    assert torch.equal(alone(X.double()), Attributes(torch.float64)(X.double()))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_module_on_a_device_is_copied_to_the_cpu_with_its_attributes() -> None:
    with torch.device("cuda"):
        model = Attributes()
    found, _ = copied(model)
    assert torch.equal(found(X), model(X.cuda()).cpu())
    assert model.twice.is_cuda


def test_hooks_that_change_values_are_kept_and_backward_hooks_are_not() -> None:
    model = nn.Linear(3, 2)
    model.register_forward_hook(lambda _module, _inputs, output: 2 * output)
    model.register_full_backward_hook(lambda *_: None)
    found, _ = copied(model)
    assert torch.equal(found(X), model(X))
    assert not found._backward_hooks
    assert model._backward_hooks


class Overriding(nn.Linear):
    """Forgets to return itself."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)

    def cpu(self) -> None:  # type: ignore[override]
        super().cpu()


class Loop(nn.Linear):
    """Has a method of its own under the name of one of torch's."""

    def train(self, batches: Any) -> None:  # type: ignore[override]
        raise RuntimeError("no batches")


@pytest.mark.parametrize("kind", [Overriding, Loop])
def test_methods_that_are_overridden(kind: Callable[..., nn.Module]) -> None:
    model = nn.Sequential(kind(3, 3), nn.Dropout(0.5))
    found, _ = copied(model)
    assert torch.equal(found(X), model[0](X))


def test_what_torch_export_made() -> None:
    model = NALU(3, 2).eval()
    program = torch.export.export(model, (X,)).module()
    found, _ = copied(program)
    assert torch.equal(found(X), model(X))


class Keeping(nn.Module):
    """Keeps what cannot be copied, and a method of its own."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.inner.kept = value
        self.act: Any = self.twice

    def twice(self, x: Tensor) -> Tensor:
        result: Tensor = 2 * self.inner(x)
        return result

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.act(x)
        return result


def test_what_cannot_be_copied_is_shared_and_that_is_said() -> None:
    model = Keeping(threading.Lock())
    found, notes = copied(model)
    assert notes == ("inner.kept (lock) cannot be copied; the copy shares it",)
    assert found.get_submodule("inner").kept is model.inner.kept
    assert isinstance(found, Keeping)
    assert found.act.__self__ is found
    assert torch.equal(found(X), model(X))


def test_a_module_that_refuses_to_be_copied() -> None:
    class Refusing(nn.Linear):
        def __deepcopy__(self, memo: Any) -> None:
            raise RuntimeError("not me\nsecond line")

    with pytest.raises(ValueError, match=r"^Refusing cannot be copied: RuntimeError: not me; give a module that can$"):
        copied(Refusing(3, 2))


def test_prepare_is_both() -> None:
    found, notes = prepare(nn.DataParallel(NALU(3, 2).half()))
    assert notes == ("DataParallel was unwrapped", "weights in float16 were converted to float32")
    assert type(found) is NALU
