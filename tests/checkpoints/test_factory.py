"""Models that the user's own code builds."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, InputError, load, save


class Custom(nn.Module):
    """A module that no description can rebuild."""

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        self.first = nn.Linear(features, 3)
        self.head = NALU(3, 1, eps=1e-4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(torch.relu(self.first(x)))
        return result


EXPECTED = "expected FILE.py:NAME or package.module:NAME"
MODULE = """
import nalu_export
import torch
from nalu_export import NAC
from torch import nn

class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.nac = NAC(2, 1)
    def forward(self, x):
        return 2.0 * self.nac(x)

def factory():
    return Twice()

instance = Twice()
number = 3

def fails():
    raise RuntimeError("first line\\nsecond line")

def needs(argument, other: int = 2):
    return Twice()

def stops():
    raise SystemExit(2)

def wrong():
    raise nalu_export.InputError("dims are [2]; give at least two")

def gives_a_number():
    return 3
"""


@pytest.fixture
def custom(tmp_path: Path) -> tuple[Custom, Path]:
    model = Custom().eval()
    save(model, tmp_path / "custom.pt")
    return model, tmp_path / "custom.pt"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``user_code/models.py`` and a checkpoint of its model; it is the working directory."""
    (tmp_path / "user_code").mkdir()
    (tmp_path / "user_code" / "models.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", os.getcwd())])
    state = {f"nac.{name}": value for name, value in NAC(2, 1).state_dict().items()}
    torch.save(state, tmp_path / "model.pt")
    yield_path = tmp_path / "model.pt"
    for name in ("user_code", "user_code.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return yield_path


def test_a_module_of_the_user_needs_its_code(custom: tuple[Custom, Path]) -> None:
    _, path = custom
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value) == (f"{path}: does not describe its model; give model='FILE.py:NAME' to build it")


@pytest.mark.parametrize(
    "factory",
    [lambda: Custom(), Custom, Custom()],
    ids=["function", "class", "module"],
)
def test_with_its_code_it_loads(factory: Any, custom: tuple[Custom, Path]) -> None:
    model, path = custom
    loaded = load(path, model=factory)
    assert isinstance(loaded, Custom)
    assert not loaded.training
    x = torch.randn(7, 2)
    assert torch.equal(loaded(x), model(x))


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_layers_take_the_shapes_of_the_file(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), NALU(3, 1))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    loaded = load(tmp_path / "model.pt", model=lambda: nn.Sequential(nn.LazyLinear(3), NALU(3, 1)))
    x = torch.randn(7, 2)
    assert torch.equal(loaded(x), model(x))


def test_a_module_that_is_given_takes_the_weights(custom: tuple[Custom, Path]) -> None:
    model, path = custom
    mine = Custom()
    assert load(path, model=mine) is mine
    assert torch.equal(mine.first.weight, model.first.weight)


def test_the_factory_wins_over_the_description(tmp_path: Path) -> None:
    save(NALU(2, 1, eps=1e-10), tmp_path / "model.pt")
    loaded = load(tmp_path / "model.pt", model=lambda: NALU(2, 1, eps=1e-3))
    assert isinstance(loaded, NALU)
    assert loaded.eps == 1e-3


def test_a_module_with_a_length_of_zero_is_a_module(tmp_path: Path) -> None:
    class Empty(Custom):
        def __len__(self) -> int:
            return 0

    save(Empty(), tmp_path / "model.pt")
    assert isinstance(load(tmp_path / "model.pt", model=Empty), Empty)


@pytest.mark.parametrize("name", ["user_code.models:factory", "user_code.models:Twice", "user_code.models:instance"])
def test_a_factory_by_name(name: str, package: Path) -> None:
    loaded = load(package, model=name)
    assert type(loaded).__name__ == "Twice"
    expected = 2.0 * load_nac(package)(torch.ones(1, 2))
    assert torch.equal(loaded(torch.ones(1, 2)), expected)


def load_nac(path: Path) -> nn.Module:
    model = NAC(2, 1)
    model.load_state_dict({name.removeprefix("nac."): value for name, value in torch.load(path).items()})
    return model


def test_the_working_directory_is_not_left_on_the_path(package: Path) -> None:
    before = list(sys.path)
    load(package, model="user_code.models:factory")
    assert sys.path == before
    with pytest.raises(InputError):
        load(package, model="no.such:thing")
    assert sys.path == before


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        ("user_code.models", f"model is 'user_code.models'; {EXPECTED}"),
        (":factory", f"model is ':factory'; {EXPECTED}"),
        ("user_code.models:", f"model is 'user_code.models:'; {EXPECTED}"),
        ("", f"model is ''; {EXPECTED}"),
        (
            "no.such:thing",
            "model='no.such:thing': ModuleNotFoundError: No module named 'no'",
        ),
        (
            "user_code.models:nothing",
            "model='user_code.models:nothing': user_code.models has no 'nothing'; "
            "it has 'Twice', 'factory', 'instance' and 5 more",
        ),
        ("user_code.models:fails", "model='user_code.models:fails': RuntimeError: first line"),
        (
            "user_code.models:needs",
            "model='user_code.models:needs': needs arguments: needs(argument, other: int = 2); "
            "give a function that needs none",
        ),
        (
            "user_code.models:number",
            "model='user_code.models:number': is a value of type int, which is neither a torch.nn.Module "
            "nor a function that builds one",
        ),
        (
            "user_code.models:stops",
            "model='user_code.models:stops': ends the program (SystemExit: 2); "
            "put code that trains under if __name__ == '__main__'",
        ),
        ("user_code.models:wrong", "model='user_code.models:wrong': dims are [2]; give at least two"),
        (
            "user_code.models:gives_a_number",
            "model='user_code.models:gives_a_number': returns a int; expected a torch.nn.Module",
        ),
        (dict, "model dict: returns a dict; expected a torch.nn.Module"),
        (3, "model int: is a value of type int, which is neither a torch.nn.Module nor a function that builds one"),
    ],
)
def test_factory_errors(factory: Any, text: str, package: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(package, model=factory)
    assert str(caught.value) == f"{package}: {text}"
