"""A module that was pickled is used as it is: its own forward and ε, whatever its keys look like."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nalu_export import NALU, InputError, load
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.whole import evaluating

NOTE = "was loaded with trust=True, which ran code in it"
X = torch.tensor([[0.0, 3.0], [-2.0, 0.5]])


class Nac(nn.Module):
    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.W_hat, self.M_hat = nn.Parameter(torch.randn(o, i)), nn.Parameter(torch.randn(o, i))

    def weight(self) -> Tensor:
        return torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)


class MyNalu(nn.Module):
    """The keys and shapes of a public implementation, with another ε, a clamp and a sign."""

    def __init__(self, i: int, o: int, eps: float = 1e-2) -> None:
        super().__init__()
        self.G, self.nac, self.eps = nn.Parameter(torch.randn(o, i)), Nac(i, o), eps

    def forward(self, x: Tensor) -> Tensor:
        w, g = self.nac.weight(), torch.sigmoid(F.linear(x, self.G))
        m = torch.exp(F.linear(torch.log(x.abs() + self.eps), w).clamp(max=2.0)) * torch.sign(x).prod(1, keepdim=True)
        return g * F.linear(x, w) + (1 - g) * m


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, trust=True, **options)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("legacy", [False, True])
def test_it_computes_what_it_computed(legacy: bool, path: Path) -> None:
    models: tuple[nn.Module, ...] = (
        MyNalu(2, 8),
        nn.Sequential(nn.Linear(2, 2), NALU(2, 3, eps=1e-3, gate="row")),
        nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
        nn.ReLU(),
    )
    for model in models:
        torch.save(model, path, _use_new_zipfile_serialization=not legacy)
        found = read_checkpoint(path, trust=True)
        assert (found.notes, found.layout) == ((NOTE,), None)
        assert repr(found.model) == repr(model)
        assert not found.model.training
        assert torch.equal(found.model(X), model(X))


def test_weights_that_are_shared_stay_shared_and_states_of_any_kind_are_kept(path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.utils.spectral_norm(nn.Linear(2, 2)))
    model[1].weight = model[0].weight
    model[0].register_buffer("phase", torch.tensor(1j))
    torch.save(model, path)
    found = load(path, trust=True)
    assert found.get_parameter("0.weight") is found.get_parameter("1.weight")
    assert torch.equal(found(X), model.eval()(X))


def test_options_that_would_read_its_keys_are_refused(path: Path) -> None:
    torch.save(MyNalu(2, 8), path)
    for option, value in {"layout": "kevinzakka", "eps": 1e-5, "backbone": nn.ReLU(), "task": "regression"}.items():
        assert refusal(path, **{option: value}) == f"holds a module, which is used as it is; leave {option} out"
    text = "holds a module, which is used as it is, and model would build another one; leave model out"
    assert refusal(path, model=lambda: MyNalu(2, 8)) == text
    assert refusal(path, model="torch.nn:ReLU") == text
    (path.parent / "net.py").write_text("from torch import nn\n", encoding="utf-8")
    file = path.parent / "net.py"
    assert refusal(path, model=f"{file}:nn.ReLU") == f"{text}, or give the file alone: model='{file}'"


def test_a_module_under_a_key_is_taken_and_that_is_said(path: Path) -> None:
    model = MyNalu(2, 8)
    cases: dict[str, Any] = {
        "'model'": {"model": model, "epoch": 3, "optimizer": torch.optim.SGD(model.parameters())},
        "'net.head'": {"net": {"head": model}, "loss": nn.MSELoss()},
        "'0'": (model, nn.MSELoss()),
        "'ema'": {"ema": model, "state_dict": model.state_dict(), "model": model},
    }
    for where, payload in cases.items():
        torch.save(payload, path)
        found = read_checkpoint(path, trust=True)
        assert found.notes == (NOTE, f"the model was read from {where}")
        assert torch.equal(found.model(X), model(X))


def test_several_modules_are_not_guessed_among(path: Path) -> None:
    model = nn.Sequential(MyNalu(2, 8), nn.Linear(8, 1))
    torch.save({"model": model, "ema": nn.Sequential(nn.Linear(2, 1))}, path)
    assert refusal(path) == "holds modules under 'model', 'ema'; say which module with prefix='model'"
    found = read_checkpoint(path, trust=True, prefix="ema")
    assert found.notes == (NOTE, "the model was read from 'ema'")
    assert len(found.model.state_dict()) == 2
    assert torch.equal(load(path, trust=True, prefix="model.0.")(X), model[0](X))
    assert refusal(path, prefix="model.1.x") == "has no module under 'model.1.x'; it has '0', '1'"
    torch.save({"model": model, "state_dict": nn.Linear(2, 1).state_dict()}, path)
    text = "holds modules under 'model' and weights under 'state_dict'; say which module with prefix='model'"
    assert refusal(path) == text
    assert torch.equal(load(path, trust=True, prefix="model")(X), model(X))
    torch.save(model, path)
    assert torch.equal(load(path, trust=True, prefix="0")(X), model[0](X))
    assert refusal(path, prefix="head") == "has no module under 'head'; it has '0', '1'"


def test_weights_beside_modules_without_tensors_are_read_as_before(path: Path) -> None:
    torch.save({"state_dict": NALU(2, 3, eps=1e-3).state_dict(), "criterion": nn.MSELoss()}, path)
    found = read_checkpoint(path, trust=True, eps=1e-3)
    assert found.layout == "nalu-export:NALU"
    assert "eps=0.001" in repr(found.model)


def test_a_faux_nac_is_still_refused_by_strict(path: Path) -> None:
    torch.save(nn.Sequential(NALU(2, 3, stored=True)), path)
    assert re.match(r"is a faux NAC: '0\.layers\.0' computes with a stored W", refusal(path, strict=True))


def test_modules_that_have_their_own_idea_of_train() -> None:
    class Loop(nn.Module):
        def train(self, batches: Any) -> None:  # type: ignore[override]
            raise RuntimeError

    model = nn.Sequential(Loop(), nn.Dropout())
    evaluating(model)
    assert not any(part.training for part in model.modules())
