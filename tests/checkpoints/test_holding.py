"""Weights under any key of a file: the only ones are taken, of several one is named, an optimizer's never."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nalu_export import NAC
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.holding import weights_in
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal
from tests.checkpoints.test_unwrapping import STATE, optimizer_state

OTHER = {name: value + 1 for name, value in STATE.items()}
GENERATOR = {"conv.weight": torch.ones(1, 2)}
LEFT = "averaged weights were left out: '{0}' (2 tensors); key='{0}' takes them"


def _note(key: str) -> str:
    return f"the weights were read from '{key}'"


TAKEN: dict[str, tuple[Any, tuple[str, ...]]] = {
    **{
        key: ({key: STATE, "epoch": 3, "args": {"lr": 0.1}}, (_note(key),))
        for key in ("net", "params", "model_state", "ema", "generator", "module", "weights", "größe")
    },
    "beside an optimizer": ({"net": STATE, "optimizer": optimizer_state()}, (_note("net"),)),
    "beside one by another name": ({"net": STATE, "adam": {"state": OTHER, "param_groups": []}}, (_note("net"),)),
    "beside one whose state is plain": ({"net": STATE, "optimizer_G": {"momentum": torch.ones(2)}}, (_note("net"),)),
    "beside metrics": ({"net": STATE, "metrics": {"loss": torch.tensor(0.5)}}, (_note("net"),)),
    "beside random states": ({"net": STATE, "rng": {"cpu": torch.zeros(16, dtype=torch.uint8)}}, (_note("net"),)),
    "beside tensors": (
        {"net": STATE, "mean": torch.ones(3), "std": torch.ones(3), "step": torch.tensor(3.0)},
        (_note("net"), "tensors beside the weights were left out: 'mean', 'std'"),
    ),
    "deep": ({"run": {"net": {"weights": STATE}}}, (_note("run.net.weights"),)),
    "beside an average": (
        {"state_dict_ema": OTHER, "state_dict": STATE},
        (_note("state_dict"), LEFT.format("state_dict_ema")),
    ),
    "an average of a wrapped model": (
        {"net": STATE, "ema": {"module": {f"module.{name}": value for name, value in OTHER.items()}}},
        (_note("net"), LEFT.format("ema.module")),
    ),
    "an average with its counter": (
        {"model": STATE, "swa_model": {"n_averaged": torch.tensor(3), **{f"module.{k}": v for k, v in OTHER.items()}}},
        (_note("model"), "averaged weights were left out: 'swa_model' (3 tensors); key='swa_model' takes them"),
    ),
    "the same under two keys": ({"net": STATE, "best": STATE}, (_note("net"),)),
}


@pytest.mark.parametrize("case", TAKEN)
def test_the_only_weights_are_taken_and_named(case: str, tmp_path: Path) -> None:
    payload, notes = TAKEN[case]
    torch.save(payload, tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt")
    assert checkpoint.notes == (*notes, "layout nalu-export:NAC")
    assert torch.equal(checkpoint.model.state_dict()["layers.0.W_hat"], STATE["layers.0.W_hat"])


CHOSEN: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "of several": ({"a": STATE, "b": OTHER}, "b", (_note("b"),)),
    "the average": ({"state_dict": STATE, "state_dict_ema": OTHER}, "state_dict_ema", (_note("state_dict_ema"),)),
    "deep": ({"a": {"b": OTHER, "c": STATE}}, "a.b", (_note("a.b"),)),
    "deeper than it is looked for": ({"a": {"b": {"c": {"d": {"e": {"f": OTHER}}}}}}, "a.b.c", (_note("a.b.c.d.e.f"),)),
    "a key with dots": ({"a.b": {"c": OTHER}, "a": STATE}, "a.b", (_note("a.b.c"),)),
    "what leads to one": ({"ema": {"module": OTHER, "decay": 0.9}, "net": STATE}, "ema", (_note("ema.module"),)),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_the_named_one_is_taken(case: str, tmp_path: Path) -> None:
    payload, key, notes = CHOSEN[case]
    torch.save(payload, tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt", key=key)
    assert checkpoint.notes == (*notes, "layout nalu-export:NAC")
    assert torch.equal(checkpoint.model.state_dict()["layers.0.W_hat"], OTHER["layers.0.W_hat"])


SEVERAL = "holds several dicts of tensors: 'a' (2 tensors), 'b' (2 tensors); say which with key='NAME'"
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "several": ({"a": STATE, "b": OTHER}, {}, SEVERAL),
    "a known key and another": (
        {"state_dict": STATE, "discriminator": GENERATOR},
        {},
        "holds several dicts of tensors: 'state_dict' (2 tensors), 'discriminator' (1 tensor); "
        "say which with key='NAME'",
    ),
    "an average of something else": (
        {"d": GENERATOR, "g_ema": STATE},
        {},
        "holds several dicts of tensors: 'd' (1 tensor), 'g_ema' (2 tensors); say which with key='NAME'",
    ),
    "an average alone, beside tensors": (
        {**STATE, "ema": OTHER},
        {},
        "holds tensors outside any dict of weights ('layers.0.W_hat', 'layers.0.M_hat') and averaged tensors under "
        "'ema'; give key='ema' for the average, or save the state_dict that you want in a file of its own",
    ),
    "parts of one model": (
        {"params": {"w": torch.ones(1)}, "batch_stats": {"mean": torch.ones(1)}},
        {},
        "holds several dicts of tensors: 'params' (1 tensor), 'batch_stats' (1 tensor); say which with key='NAME'",
    ),
    "many": (
        {str(index): dict(STATE) for index in range(9)},
        {},
        "holds several dicts of tensors: '0' (2 tensors), '1' (2 tensors), '2' (2 tensors), '3' (2 tensors), "
        "'4' (2 tensors), '5' (2 tensors) and 3 more; say which with key='NAME'",
    ),
    "no such key": (
        {"a": STATE, "b": OTHER},
        {"key": "c"},
        "has nothing under 'c'; key takes one of 'a' (2 tensors), 'b' (2 tensors)",
    ),
    "a key inside a number": (
        {"a": STATE, "epoch": 3},
        {"key": "epoch.x"},
        "has nothing under 'epoch.x'; key takes one of 'a' (2 tensors)",
    ),
    "a key of a number": (
        {"a": STATE, "epoch": 3},
        {"key": "epoch"},
        "has no dict of tensors under 'epoch'; key takes one of 'a' (2 tensors)",
    ),
    "a key of a dict without tensors": (
        {"a": STATE, "args": {"lr": 0.1}},
        {"key": "args"},
        "has no dict of tensors under 'args'; key takes one of 'a' (2 tensors)",
    ),
    "a key of an optimizer": (
        {"a": STATE, "optimizer": optimizer_state()},
        {"key": "optimizer"},
        "has the state of an optimizer under 'optimizer', not weights; key takes one of 'a' (2 tensors)",
    ),
    "a key of an optimizer by another name": (
        {"a": STATE, "adam": optimizer_state()},
        {"key": "adam"},
        "has no dict of tensors under 'adam'; key takes one of 'a' (2 tensors)",
    ),
    "a key in the state of an optimizer": (
        {"a": STATE, "adam": {"state": STATE, "param_groups": []}},
        {"key": "adam.state"},
        "has the state of an optimizer under 'adam.state', not weights; key takes one of 'a' (2 tensors)",
    ),
    "an optimizer alone": (
        {"optimizer": optimizer_state(), "epoch": 3},
        {},
        "has 'optimizer' of type dict; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a key of a state_dict alone": (
        STATE,
        {"key": "layers"},
        "is one dict of tensors without dicts inside it; leave key out, or give prefix for a part of it",
    ),
    "a key of a list": ([1], {"key": "a"}, "holds no dict, so there is nothing under 'a'; leave key out"),
    "something else among the weights": (
        {"state_dict": STATE | {"x": 1.0}, "ema": STATE},
        {},
        "has 'x' of type float; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a key in our own format": (
        files.native({"type": "NAC", "args": {"dims": [2, 1]}}, STATE),
        {"key": "state_dict"},
        "is in the nalu_export format, which holds one model; leave key out",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, refusal: Refusal) -> None:
    payload, options, text = REFUSED[case]
    assert refusal(files.torch_bytes(payload), **options) == text


def test_nested_fifty_deep(refusal: Refusal) -> None:
    payload: Any = STATE
    for _ in range(50):
        payload = {"a": payload}
    assert refusal(files.torch_bytes(payload)).startswith("has 'a' of type dict; ")


def test_each_dict_is_looked_at_once() -> None:
    """Else a hundred references to a hundred references to … would not end."""
    payload: Any = {"w": torch.ones(1)}
    for _ in range(4):
        payload = {str(index): payload for index in range(1000)}
    with files.time_limit(2):
        assert [held.path for held in weights_in({"a": payload["0"]})] == ["a.0.0.0"]


def test_a_module_by_its_key(tmp_path: Path) -> None:
    """Of a pickle that is trusted, as --prefix does."""
    first, second = nn.Sequential(NAC(2, 1)), nn.Sequential(NAC(2, 1))
    torch.save({"a": first, "b": second, "state": STATE}, tmp_path / "model.pt")
    assert "the model was read from 'b'" in read_checkpoint(tmp_path / "model.pt", trust=True, key="b").notes
    assert _note("state") in read_checkpoint(tmp_path / "model.pt", trust=True, key="state").notes
    found = read_checkpoint(tmp_path / "model.pt", trust=True, key="b", prefix="0")
    assert isinstance(found.model, NAC)


def test_prefix_says_what_it_leaves_out(tmp_path: Path) -> None:
    inner = {f"head.{name}": value for name, value in STATE.items()}
    torch.save(inner | {f"conv.{index}": torch.ones(1) for index in range(5)}, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt", prefix="head").notes == (
        "prefix='head' left out 5 tensors ('conv.0', 'conv.1', 'conv.2' …)",
        "layout nalu-export:NAC",
    )
    torch.save({f"module.{name}": value for name, value in inner.items()}, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt", prefix="head").notes == ("layout nalu-export:NAC",)


def test_no_hint_into_a_stack(refusal: Refusal) -> None:
    """SNALU: a NAC beside a gate, which alone is another model."""
    one, two = torch.ones(1, 1), torch.ones(2, 2)
    cell = {"_G": one, "_nac._W_hat": two, "_nac._M_hat": two}
    for count in (1, 2):
        state = {f"_snalu_stack.{index}.{name}": value for index in range(count) for name, value in cell.items()}
        assert "--prefix" not in refusal(files.torch_bytes(state))
    assert "--prefix" not in refusal(files.torch_bytes(cell))
