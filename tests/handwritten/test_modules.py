"""The modules written by hand are what their tables say: they run, and equal one another where they should."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.handwritten import epsilons, matrices
from tests.handwritten.cells import CELL_SHAPE, CELLS, FILES
from tests.handwritten.nets import NETS, REFUSED, WRAPPED, Net
from tests.handwritten.public import PUBLIC

ALL: dict[str, Net] = {
    **{name: Net(build, CELL_SHAPE) for name, build in CELLS.items()},
    **NETS,
    **{name: Net(build, shape) for name, (build, shape) in PUBLIC.items()},
    **{name: net for name, net in WRAPPED.items() if name != "torch.compile"},
}
# The same function as `matrices.A` with equal weights; all others compute something else.
SPELLINGS = {*matrices.CELLS, "PowerProduct", "TorchPow"}
ALMOST = {
    *epsilons.CELLS, "Lerp", "LerpWrittenOut", "Rsub", "NegPlusOne", "OnesLike", "StoredRest", "LogSigmoidGate",
    "ClampedExponent", "BaseTwo", "BaseTen", "PowTwo", "Squares", "Inverses", "Addcmul", "Helpers", "Nested", "InPlace",
    "InPlaceMethods", "StackSum", "ChunkOutputs", "ColumnVectors",
}  # fmt: skip


# Dynamic quantisation takes one scale for the whole batch.
BATCHED = {"the batch's own mean", "BatchNorm without running statistics", "quantised"}


def _sample(shape: tuple[int, ...], batch: int = 4) -> Tensor:
    return torch.linspace(-1.5, 2.5, batch * int(np.prod(shape))).reshape(batch, *shape)


def _run(module: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = module(x)
    assert isinstance(y, Tensor)
    return y


def test_names_are_unique() -> None:
    assert len(CELLS) == sum(len(file.CELLS) for file in FILES)
    assert len(ALL) == len(CELLS) + len(NETS) + len(PUBLIC) + 2


def test_each_runs_in_float32_and_float64_and_is_a_function_of_each_sample() -> None:
    for name, net in ALL.items():
        module, x = net.build(), _sample(net.shape)
        before, state = x.clone(), {key: value.clone() for key, value in module.state_dict().items()}
        assert not module.training, name
        y = _run(module, x)
        assert bool(torch.isfinite(y).all()), name
        assert len(y) == len(x), name
        assert torch.equal(y, _run(net.build(), x)), f"{name}: another build is another function"
        assert torch.equal(x, before), f"{name} changes its input"
        torch.testing.assert_close(_run(module, x[1:2]), y[1:2], rtol=1e-3, atol=1e-4, msg=name)
        if net.float64:
            exact = _run(module.double(), x.double())
            assert exact.dtype == torch.float64, name
            torch.testing.assert_close(exact, y.double(), rtol=1e-2, atol=1e-3, msg=name)
        assert all(torch.equal(state[key], value.to(state[key])) for key, value in module.state_dict().items()), name


def test_spellings_of_one_cell_are_one_function() -> None:
    # No zeros and nothing near the largest ε: there these cells differ on purpose.
    x = _sample(CELL_SHAPE, 8).double() * 4 + 0.01
    expected = _run(CELLS["A"]().double(), x)
    for name, build in CELLS.items():
        y = _run(build().double(), x)
        tolerance = 1e-12 if name in SPELLINGS else 0.1 if name == "EpsLarge" else 1e-5
        same = y.shape == expected.shape and bool(torch.allclose(y, expected, rtol=tolerance, atol=1e-9))
        assert same == (name in SPELLINGS | ALMOST), name


@pytest.mark.parametrize(
    ("build", "keys"),
    [
        (CELLS["A"], ["w_hat", "m_hat", "G"]),
        (CELLS["EpsBuffer"], ["W_hat", "M_hat", "G", "eps"]),
        (
            CELLS["WeightNormGate"],
            ["w_hat", "m_hat", "gate.bias", *(f"gate.parametrizations.weight.original{k}" for k in "01")],
        ),
        (CELLS["OldWeightNormGate"], ["w_hat", "m_hat", "gate.bias", "gate.weight_g", "gate.weight_v"]),
        (CELLS["Lists"], [f"{kind}.{k}" for kind in ("w_hats", "m_hats", "gates") for k in "01"]),
        (CELLS["Nested"], ["G", "nac.W_hat", "nac.M_hat"]),
        (PUBLIC["vrxacs NALU"][0], ["G", "NAC.W_hat", "NAC.M_hat"]),
        (PUBLIC["vrxacs faux NAC"][0], ["W_hat", "M_hat", "weights"]),
        (PUBLIC["shivamsaboo17 NALU"][0], [f"model.{k}.{key}" for k in "01" for key in ("G", "W", "nac.W")]),
    ],
)
def test_state_dict_has_the_keys_as_written(build: Callable[[], nn.Module], keys: list[str]) -> None:
    assert list(build().state_dict()) == keys


def test_build_head_has_the_published_keys() -> None:
    keys = [
        key for key in PUBLIC["shivamsaboo17 BuildHead, NALU"][0]().state_dict() if not key.startswith("conv_model.")
    ]
    cells = [f"head.model.{k}.{key}" for k in "01" for key in ("G", "W", "nac.W")]
    assert keys == ["adaptive_module.conv.weight", "adaptive_module.conv.bias", *cells]


def test_what_must_be_refused_runs_and_is_what_it_says() -> None:
    for name, case in REFUSED.items():
        module, inputs = case.build(), case.inputs()
        with torch.no_grad():
            first, again = module(*inputs), module(*inputs)
            fewer = module(*(x[:2] for x in inputs))
        assert case.fragment, name
        steady = torch.equal(first, again)
        apart = steady and torch.allclose(first[:2], fewer, rtol=1e-4)
        assert steady == (name not in ("active dropout", "noise")), name
        if steady:
            assert apart == (name not in BATCHED), name
