"""Weights under weight_norm and spectral_norm give what torch computes of them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from nalu_export import NAC, NALU
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.normed import computed
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal

Norm = Callable[..., object]
W, R = "layers.0.W_hat", "layers.0.M_hat"


def _old_weight(module: nn.Module, name: str, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(module, name, **options)


NORMS: dict[str, tuple[Norm, str]] = {
    "weight_norm": (_old_weight, "weight_norm"),
    "weight_norm of columns": (lambda module, name: _old_weight(module, name, dim=1), "weight_norm"),
    "weight_norm of all": (lambda module, name: _old_weight(module, name, dim=None), "weight_norm"),
    "parametrizations.weight_norm": (parametrizations.weight_norm, "weight_norm"),
    "parametrizations.weight_norm of all": (
        lambda module, name: parametrizations.weight_norm(module, name, dim=cast(int, None)),
        "weight_norm",
    ),
    "spectral_norm": (nn.utils.spectral_norm, "spectral_norm"),
    "parametrizations.spectral_norm": (parametrizations.spectral_norm, "spectral_norm"),
}


def trained(norm: Norm, model: nn.Module) -> nn.Module:
    """The model with both raw parameters of its first layer under a norm, after some steps, in ``eval()`` mode."""
    for name in ("W_hat", "M_hat"):
        norm(model.get_submodule("layers.0"), name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5).add_(0.1)
    for _ in range(3):
        model(torch.ones(1, 3))
    return model.eval()


@pytest.mark.parametrize("case", NORMS)
@pytest.mark.parametrize("make", [lambda: NAC(3, 2), lambda: NALU(3, 4, 1).double()], ids=["NAC", "NALU"])
def test_the_model_is_the_same(case: str, make: Callable[[], nn.Module], tmp_path: Path) -> None:
    norm, kind = NORMS[case]
    torch.manual_seed(3)
    blank = make()
    dtype = next(blank.parameters()).dtype
    model = trained(norm, blank.float()).to(dtype)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt")
    assert f"'{W}', '{R}': computed from the parts of {kind}" in checkpoint.notes
    x = torch.randn(8, 3, dtype=dtype)
    torch.testing.assert_close(checkpoint.model(x), model(x), rtol=1e-6, atol=0)


def test_a_module_of_the_user_that_has_the_norm_itself_gets_its_parts(tmp_path: Path) -> None:
    model = trained(parametrizations.weight_norm, NAC(3, 2))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt", model=lambda: trained(parametrizations.weight_norm, NAC(3, 2)))
    assert not any("computed" in note for note in checkpoint.notes)
    assert torch.equal(checkpoint.model(torch.eye(3)), model(torch.eye(3)))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_convolution(axis: int) -> None:
    """spectral_norm takes the second axis of a transposed one."""
    module = nn.ConvTranspose2d(2, 3, 3) if axis else nn.Conv2d(2, 3, 3)
    parametrizations.spectral_norm(module).eval()
    made, _ = computed(dict(module.state_dict()), lambda _: axis)
    assert made.keys() == {"weight", "bias"}
    torch.testing.assert_close(made["weight"], module.weight)


def _state(**parts: Tensor) -> dict[str, Tensor]:
    return {name.replace("__", "."): value for name, value in parts.items()}


@pytest.mark.parametrize(
    "state",
    [
        _state(w_g=torch.ones(2), w_v=torch.ones(2, 3)),
        _state(w_g=torch.ones(3, 3), w_v=torch.ones(2, 3)),
        _state(w_g=torch.ones(2, 1)),
        _state(w_g=torch.ones(2, 1), w_v=torch.ones(2, 3), w=torch.ones(2, 3)),
        _state(w_g=torch.ones(2, 1).double(), w_v=torch.ones(2, 3)),
        _state(w_g=torch.ones(2, 1, dtype=torch.int64), w_v=torch.ones(2, 3, dtype=torch.int64)),
        _state(w_g=torch.ones(2, 1), w_v=torch.ones(2, 0)),
        _state(w_g=torch.ones(()), w_v=torch.ones(())),
        _state(w_orig=torch.ones(2, 3), w_u=torch.ones(3), w_v=torch.ones(3)),
        _state(w_orig=torch.ones(2), w_u=torch.ones(2), w_v=torch.ones(1)),
        _state(w_orig=torch.ones(2, 3), w_u=torch.ones(2)),
    ],
    ids=lambda state: " ".join(f"{name}{tuple(value.shape)}" for name, value in state.items()),
)
def test_what_only_looks_like_it_stays(state: dict[str, Tensor]) -> None:
    assert computed(state) == (state, ())


def test_another_parametrization_is_refused(refusal: Refusal) -> None:
    model = NAC(2, 2)
    parametrizations.orthogonal(model.layers[0], "W_hat")
    text = refusal(files.torch_bytes(model.state_dict()))
    assert text == (
        "has 'layers.0.parametrizations.W_hat.original' of a parametrization, but a file of weights "
        "does not hold its code; "
        "give model='FILE.py:NAME', or save it after "
        "torch.nn.utils.parametrize.remove_parametrizations(module, 'W_hat')"
    )


def test_a_norm_of_zero_is_nan_as_in_torch() -> None:
    state = {f"{W}_g": torch.ones(2, 1), f"{W}_v": torch.zeros(2, 3), R: torch.zeros(2, 3)}
    assert computed(state)[0][W].isnan().all()
