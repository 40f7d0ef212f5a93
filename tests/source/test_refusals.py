"""What holds no numbers is refused with its path, before anything else is done with it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from nalu_export import NAC, NALU, InputError
from nalu_export.checkpoints import ReadOptions
from nalu_export.modules import jit
from nalu_export.source import copied, source_of


def at_inner(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Sequential(module), NALU(2, 1))


def with_weight(value: Tensor) -> nn.Module:
    model = nn.Linear(2, 2)
    model.weight = nn.Parameter(value, requires_grad=False)
    return model


def with_buffer(value: Tensor) -> nn.Module:
    model = nn.Linear(2, 2)
    model.register_buffer("extra", value, persistent=False)
    return model


def fake() -> nn.Module:
    with FakeTensorMode():
        return nn.Linear(2, 2)


def quantised() -> nn.Module:
    make: Any = torch.ao.quantization.quantize_dynamic
    model: nn.Module = make(nn.Sequential(nn.Linear(2, 2)), {nn.Linear})
    return model.get_submodule("0")


def scripted() -> nn.Module:
    module: nn.Module = jit.trace(nn.Linear(2, 2), (torch.zeros(1, 2),))
    return module


class Shard(nn.Linear):
    """Bears the name of torch's."""


Shard.__name__ = "FullyShardedDataParallel"
EYE = torch.eye(2)
NO_VALUES = "has no values (meta device); load the weights first, with load_state_dict(..., assign=True)"
DENSE = "is a sparse or nested tensor; make it dense first, with to_dense()"
CASES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "meta": (lambda: nn.Linear(2, 2, device="meta"), f"0.0.weight {NO_VALUES}"),
    "fake": (fake, f"0.0.weight {NO_VALUES}"),
    "lazy": (
        lambda: nn.LazyLinear(2),
        "0.0.weight has no shape yet, because its layer is lazy; run the model once first",
    ),
    "sparse": (lambda: with_weight(EYE.to_sparse()), f"0.0.weight {DENSE}"),
    "sparse rows": (lambda: with_weight(EYE.to_sparse_csr()), f"0.0.weight {DENSE}"),
    "a sparse buffer": (lambda: with_buffer(EYE.to_sparse()), f"0.0.extra {DENSE}"),
    "complex": (
        lambda: with_weight(EYE + 1j),
        "0.0.weight is complex; keep its real and its imaginary part in two real parameters",
    ),
    "a quantised buffer": (
        lambda: with_buffer(torch.quantize_per_tensor(EYE, 0.1, 0, torch.qint8)),
        "0.0.extra is a quantised tensor; give the float model",
    ),
    "quantised": (
        quantised,
        "0.0 is a quantised Linear, whose packed weights no export format can hold; "
        "export the float model and quantise the exported file",
    ),
    "scripted": (
        scripted,
        "0.0 is a ScriptModule, whose Python code is gone; give the module that was scripted or traced",
    ),
    "sharded": (
        lambda: Shard(2, 2),
        "0.0 is a FullyShardedDataParallel, which holds a shard of the weights; give the whole module",
    ),
}


@pytest.mark.filterwarnings("ignore")  # of the deprecated functions that make such modules
@pytest.mark.parametrize("case", CASES)
def test_what_holds_no_numbers_is_named(case: str) -> None:
    make, text = CASES[case]
    model = at_inner(make())
    uses: tuple[Callable[[nn.Module], Any], ...] = (copied, lambda module: source_of(module, ReadOptions()))
    for use in uses:
        with pytest.raises(InputError) as caught:
            use(model)
        assert str(caught.value) == text


@pytest.mark.filterwarnings("ignore")
def test_the_model_itself() -> None:
    text = r"^the model \(TopLevelTracedModule\) is a ScriptModule, whose Python code is gone"
    with pytest.raises(InputError, match=text):
        copied(scripted())


def test_complex_buffers_and_extra_states_are_no_obstacle() -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> Any:
            return {"seen": 3}

    model = nn.Sequential(with_buffer(torch.tensor(1j)), Extra(2, 2), NALU(2, 1))
    model[0].register_buffer("phase", torch.tensor(1j))
    assert source_of(model, ReadOptions()).sha256
    found, notes = copied(model)
    assert notes == ()
    assert torch.equal(found(EYE), model(EYE))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(value: float) -> None:
    model = NAC(2, 1)
    with torch.no_grad():
        model.get_parameter("layers.0.M_hat")[0, 1] = value
    with pytest.raises(InputError, match=r"^layers\.0\.M_hat has 1 values that are NaN or infinite; train or repair"):
        copied(model)


def test_a_weight_that_float32_cannot_hold_is_named() -> None:
    model = NAC(2, 1).double()
    with torch.no_grad():
        model.get_parameter("layers.0.M_hat")[0] = -1e39
    with pytest.raises(InputError, match=r"^layers\.0\.M_hat has 2 values that float32 cannot hold; train or repair"):
        copied(model)


def test_infinities_are_right_in_masks_and_wrong_in_statistics() -> None:
    mask = torch.triu(torch.full((2, 2), -torch.inf), 1)
    assert copied(nn.Sequential(with_buffer(mask), NALU(2, 1)))[1] == ()
    with pytest.raises(InputError, match=r"^0\.extra has 1 values that are NaN or infinite"):
        copied(nn.Sequential(with_buffer(torch.tensor([1.0, torch.nan])), NALU(2, 1)))
    norm = nn.BatchNorm1d(2)
    norm.running_var = torch.tensor([1.0, torch.inf])
    with pytest.raises(InputError, match=r"^0\.running_var has 1 values that are NaN or infinite"):
        copied(nn.Sequential(norm, NALU(2, 1)))
