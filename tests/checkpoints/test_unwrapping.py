"""What stands around the weights: dicts of training loops, prefixes of wrappers, a larger model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nalu_export import NAC, NALU, load
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints.unwrapping import MAX_NAME, prefixes, state_of, under, without_wrappers
from nalu_export.errors import InputError
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal

STATE = {"layers.0.W_hat": torch.ones(1, 2), "layers.0.M_hat": torch.zeros(1, 2)}


def optimizer_state() -> dict[str, Any]:
    """What Adam keeps: numbers for keys, tensors and floats for values."""
    model = NAC(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


LIGHTNING = {
    "epoch": 3,
    "global_step": 120,
    "pytorch-lightning_version": "2.4.0",
    "state_dict": {f"net.{name}": value for name, value in STATE.items()},
    "loops": {"fit_loop": {"state_dict": {}}},
    "callbacks": {},
    "optimizer_states": [optimizer_state()],
    "lr_schedulers": [],
    "hyper_parameters": {"lr": 1e-2, "dims": (2, 1)},
}
WRAPPED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "state_dict": ({"state_dict": STATE, "epoch": 3}, ("the weights were read from 'state_dict'",)),
    "model": ({"model": STATE, "args": {"lr": 0.1}}, ("the weights were read from 'model'",)),
    "model_state_dict": (
        {"model_state_dict": STATE, "optimizer_state_dict": optimizer_state(), "loss": 0.1},
        ("the weights were read from 'model_state_dict'",),
    ),
    "two deep": ({"model": {"state_dict": STATE, "step": 1}}, ("the weights were read from 'model.state_dict'",)),
    "the same under two names": (
        {"state_dict": STATE, "model": STATE, "epoch": 1},
        ("the weights were read from 'state_dict'",),
    ),
    "Lightning": (
        LIGHTNING,
        ("the weights were read from 'state_dict'", "the prefix 'net.' was removed from the names of its tensors"),
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped(name: str, tmp_path: Path) -> None:
    payload, notes = WRAPPED[name]
    torch.save(payload, tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt")
    assert checkpoint.notes == (*notes, "layout nalu-export:NAC")
    assert torch.equal(checkpoint.model.state_dict()["layers.0.W_hat"], STATE["layers.0.W_hat"])


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "net.", "module._orig_mod.", "_orig_mod.module.", "net.module._orig_mod.", "net.net."],
)
def test_prefixes_of_wrappers(prefix: str, tmp_path: Path) -> None:
    torch.save({prefix + name: value for name, value in STATE.items()}, tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt")
    assert checkpoint.notes[0] == f"the prefix '{prefix}' was removed from the names of its tensors"
    assert checkpoint.layout == "nalu-export:NAC"


REAL: dict[str, Callable[[nn.Module], nn.Module]] = {
    "DataParallel": nn.DataParallel,
    "AveragedModel": AveragedModel,
    "AveragedModel of DataParallel": lambda model: AveragedModel(nn.DataParallel(model)),
    # torch.compile(model) without the compiler, whose import warns.
    "compile": lambda model: nn.ModuleDict({"_orig_mod": model}),
}


@pytest.mark.parametrize("name", REAL)
def test_real_wrappers(name: str, tmp_path: Path) -> None:
    model = NALU(3, 2)
    torch.save(REAL[name](model).state_dict(), tmp_path / "model.pt")
    x = torch.rand(4, 3)
    assert torch.equal(load(tmp_path / "model.pt")(x), model(x))


def test_a_prefix_that_not_all_names_have_stays() -> None:
    mixed = {"module.a": torch.ones(1), "b": torch.ones(1)}
    assert without_wrappers(mixed) == (mixed, ())
    assert without_wrappers({"module.": torch.ones(1)})[1] == ()
    assert without_wrappers({}) == ({}, ())
    counted = {"n_averaged": torch.tensor(3), "a": torch.ones(1)}
    assert without_wrappers(counted) == (counted, ())


@pytest.mark.parametrize("prefix", ["head.", "head", "final.model.", "module.head"])
def test_a_model_inside_a_larger_one(prefix: str, tmp_path: Path) -> None:
    dotted = prefix.rstrip(".") + "."
    torch.save(
        {f"{dotted}{name}": v for name, v in STATE.items()} | {"embedding.weight": torch.ones(9, 2)}, tmp_path / "m"
    )
    assert read_checkpoint(tmp_path / "m", prefix=prefix).layout == "nalu-export:NAC"


def test_a_model_inside_a_wrapped_one(tmp_path: Path) -> None:
    """As the user knows it, without the prefix that DataParallel put before it."""
    inner = {f"module.head.{name}": value for name, value in STATE.items()} | {"module.conv.bias": torch.ones(2)}
    torch.save({"state_dict": inner}, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt", prefix="head").layout == "nalu-export:NAC"
    assert read_checkpoint(tmp_path / "model.pt", prefix="module.head").layout == "nalu-export:NAC"


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        (
            "tail.",
            "has no name under 'tail.'; it has names under 'layers.'; give prefix the part of the names "
            "before the layers",
        ),
        ("layers.0.W", "has no name under 'layers.0.W.'; it has names under 'layers.'; "),
    ],
)
def test_a_prefix_that_is_not_there(prefix: str, text: str, refusal: Refusal) -> None:
    assert refusal(files.torch_bytes(STATE), prefix=prefix).startswith(text)


def test_under_of_names_without_a_dot() -> None:
    with pytest.raises(InputError) as caught:
        under({"W": torch.ones(1)}, "head")
    assert str(caught.value) == "has no name under 'head.'; give prefix the part of the names before the layers"


def test_prefixes_come_shortest_first() -> None:
    one = torch.ones(1)
    assert prefixes({"b.a.x": one, "a.y": one, "z.c": one}) == ["a.", "b.", "z.", "b.a."]


def test_no_prefix_ends_inside_a_stack_or_a_cell() -> None:
    one = torch.ones(1)
    assert prefixes({"s.0.a.w": one, "s.1.a.w": one}) == ["s."]
    assert prefixes({"s.0.a.w": one, "s.0.a.v": one}) == ["s.", "s.0.", "s.0.a."]
    assert prefixes({"h.G": one, "h.nac.W": one}) == ["h."]
    assert prefixes({"G": one, "nac.W": one}) == []


REFUSED: dict[str, tuple[Any, str]] = {
    "two": (
        {"state_dict": STATE, "model": {"W": torch.ones(1, 2)}},
        "holds several dicts of tensors: 'state_dict' (2 tensors), 'model' (1 tensor); say which with key='NAME'",
    ),
    "no weights": (
        {"epoch": 3},
        "has 'epoch' of type int; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a list": ([1], "holds a list; save model.state_dict() or use nalu_export.save(model, path)"),
    "a number for a name": (
        {3: torch.ones(1)},
        "has 3 of type Tensor; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "wrapped five times": (
        {"model": {"model": {"model": {"model": {"model": STATE}}}}},
        "has 'model' of type dict; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a long name": (
        {"x" * (MAX_NAME + 1): torch.ones(1)},
        "has a tensor with a name of 1,001 characters; at most 1,000 are allowed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, refusal: Refusal) -> None:
    payload, text = REFUSED[name]
    assert refusal(files.torch_bytes(payload)) == text


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (
            Inert("a value of type x.Y"),
            "holds a value of type x.Y; save model.state_dict() or use nalu_export.save(model, path)",
        ),
        ({"w": Inert("a sparse tensor")}, "has 'w' as a sparse tensor; expected a dense floating point tensor"),
        ({"model": Inert("a value of type x.Y")}, "holds a value of type x.Y; save model.state_dict() or use "),
        (
            {Inert("a tuple"): torch.ones(1)},
            "has a tuple of type Tensor; a state_dict has names and tensors only; "
            "save model.state_dict() or use nalu_export.save(model, path)",
        ),
    ],
)
def test_what_was_never_made(payload: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        state_of(payload)
    assert str(caught.value).startswith(text)


def test_a_state_dict_alone_needs_no_note() -> None:
    state: dict[str, Tensor]
    state, notes = state_of(STATE)
    assert state == STATE
    assert notes == ()
