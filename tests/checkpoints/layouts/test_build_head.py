"""shivamsaboo17's BuildHead, create_conv_head.py: a CNN's weights without its code, and a head behind them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import InputError
from nalu_export.checkpoints import Checkpoint
from tests.checkpoints.conftest import Refusal
from tests.checkpoints.files import torch_bytes
from tests.checkpoints.layouts import published
from tests.checkpoints.layouts.arithmetic import Array, Value
from tests.checkpoints.layouts.case import State
from tests.checkpoints.layouts.loading import RELATIVE, opened, outputs, worst

CHANNELS = 5
HEADS = {"NAC": published.SHIVAMSABOO17[0], "NALU": published.SHIVAMSABOO17[2]}
CODE = """
from torch import nn

def plain():
    return nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1))

def normed():
    return nn.Sequential(nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5), nn.LeakyReLU(0.1), nn.MaxPool2d(2))

def other():
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Conv2d(5, 5, 1))

def wider():
    return nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1))

def broken():
    raise RuntimeError("no weights on this machine")

number = 3
"""


@pytest.fixture
def backbones(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with the factories above, which can be imported while the test runs."""
    folder = tmp_path_factory.mktemp("code")
    name = f"backbones_{folder.name}"
    (folder / f"{name}.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    return name


def made(name: str) -> nn.Module:
    """The same backbone, with weights of its own and statistics that have seen batches."""
    scope: dict[str, Any] = {}
    exec(CODE, scope)
    torch.manual_seed(7)
    backbone: nn.Module = scope[name]()
    with torch.no_grad():
        for _ in range(3):
            backbone(torch.randn(8, 2, 12, 12) * 2 + 1)
    return backbone.eval()


def state_of(backbone: nn.Module, head: str, dims: tuple[int, ...], seed: int = 1) -> State:
    """What ``BuildHead(backbone, 5, dims[:-1], …).state_dict()`` holds, in its order."""
    rng = np.random.default_rng(seed)
    conv = rng.normal(0.0, 0.5, (dims[0], CHANNELS, 1, 1)), rng.normal(0.0, 0.5, dims[0])
    state: State = {f"conv_model.{key}": value for key, value in backbone.state_dict().items()}
    state["adaptive_module.conv.weight"], state["adaptive_module.conv.bias"] = (
        torch.from_numpy(value.astype(np.float32)) for value in conv
    )
    return state | {f"head.{key}": value for key, value in HEADS[head].state(rng, dims).items()}


def features(backbone: nn.Module, state: State, images: Tensor) -> Value:
    """1×1 convolution and mean over the pixels of what the backbone gives in float64."""
    with torch.no_grad():
        maps = backbone.double()(images).numpy().astype(np.longdouble)
    weight = state["adaptive_module.conv.weight"][:, :, 0, 0].numpy().astype(np.longdouble)
    bias = state["adaptive_module.conv.bias"].numpy().astype(np.longdouble)
    reduced = np.einsum("nchw,oc->nohw", maps, weight) + bias[:, None, None]
    # The backbone itself is torch in float64 on both sides, summed in whatever order.
    size = np.einsum("nchw,oc->nohw", np.abs(maps) + np.abs(maps).max(), np.abs(weight)) + np.abs(bias)[:, None, None]
    return Value(reduced.mean((2, 3)), size.mean((2, 3)))


def log_softmax(x: Value) -> Value:
    """``x − log Σ exp x`` along the last axis."""
    top = x.value.max(1, keepdims=True)
    total: Array = top + np.log(np.exp(x.value - top).sum(1, keepdims=True))
    return Value(x.value - total, np.abs(x.value) + np.abs(total) + x.size + x.size.max(1, keepdims=True))


def reference(backbone: nn.Module, state: State, images: Tensor, head: str, task: str) -> Value:
    """BuildHead's forward: backbone, 1×1 convolution, average, head, log-softmax for a classification."""
    rows = features(backbone, state, images)
    inner = {key.removeprefix("head."): value for key, value in state.items() if key.startswith("head.")}
    found = HEADS[head].reference(inner, rows)
    return log_softmax(found) if task == "classification" else found


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_reference_is_what_torch_computes(task: str) -> None:
    """BuildHead's forward with a faux NAC of one layer, in plain torch."""
    state = state_of(made("normed"), "NAC", (4, 3))
    images = torch.randn(2, 2, 9, 9, dtype=torch.float64)
    weights = {key: value.double() for key, value in state.items()}
    with torch.no_grad():
        x = made("normed").double()(images)
        x = nn.functional.conv2d(x, weights["adaptive_module.conv.weight"], weights["adaptive_module.conv.bias"])
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1) @ weights["head.model.0.W"].T
        x = nn.functional.log_softmax(x, dim=1) if task == "classification" else x
    assert worst(x.numpy(), reference(made("normed"), state, images, "NAC", task)) < 1e-14


def held(checkpoint: Checkpoint, name: str, state: State, head: str, task: str) -> None:
    """The loaded model gives what BuildHead gives, at more than one size of image."""
    assert checkpoint.layout == "shivamsaboo17:BuildHead"
    rng = np.random.default_rng(3)
    for height, width in ((9, 9), (14, 11)):
        images = rng.normal(0.0, 1.0, (4, 2, height, width))
        wanted = reference(made(name), state, torch.from_numpy(images), head, task)
        assert worst(outputs(checkpoint.model, images), wanted) <= RELATIVE


SHAPES = [(4, 3), (4, 6, 3), (3, 3, 3, 2)]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["plain", "normed"])
@pytest.mark.parametrize("dims", SHAPES, ids=str)
def test_more_outputs_than_one_are_classes(
    head: str, name: str, dims: tuple[int, ...], backbones: str, tmp_path: Path
) -> None:
    state = state_of(made(name), head, dims)
    held(opened(state, tmp_path, backbone=f"{backbones}:{name}"), name, state, head, "classification")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_one_output_is_what_the_task_says(head: str, task: str, backbones: str, tmp_path: Path) -> None:
    state = state_of(made("normed"), head, (4, 1))
    held(opened(state, tmp_path, backbone=f"{backbones}:normed", task=task), "normed", state, head, task)


@pytest.mark.parametrize("give", [lambda: made("plain"), lambda: lambda: made("plain")], ids=["module", "function"])
def test_the_backbone_may_be_a_module_or_a_function(give: Callable[[], Any], tmp_path: Path) -> None:
    state = state_of(made("plain"), "NALU", (4, 2))
    blank = give()
    held(opened(state, tmp_path, backbone=blank), "plain", state, "NALU", "classification")


def test_the_weights_are_those_of_the_file(backbones: str, tmp_path: Path) -> None:
    """A backbone that comes with weights of its own gets the file's, and its counter of batches."""
    source = made("normed")
    state = state_of(source, "NAC", (4, 2))
    assert int(state["conv_model.1.num_batches_tracked"]) == 3
    model = opened(state, tmp_path, backbone=f"{backbones}:normed").model
    found = model.state_dict()
    counter = next(value for key, value in found.items() if key.endswith("num_batches_tracked"))
    assert int(counter) == 3
    assert counter.dtype == torch.int64
    assert any(torch.equal(value, state["conv_model.0.weight"]) for value in found.values())


def test_eps_reaches_the_head(backbones: str, tmp_path: Path) -> None:
    state = state_of(made("plain"), "NALU", (4, 1))
    rows = HEADS["NALU"]
    model = opened(state, tmp_path, backbone=f"{backbones}:plain", task="regression", eps=1e-2).model
    images = np.random.default_rng(4).normal(0.0, 1.0, (4, 2, 9, 9))
    inner = {key.removeprefix("head."): value for key, value in state.items() if key.startswith("head.")}
    wanted = rows.reference(inner, features(made("plain"), state, torch.from_numpy(images)), eps=1e-2)
    assert worst(outputs(model, images), wanted) <= RELATIVE


def test_without_a_backbone_the_option_is_named(refusal: Refusal) -> None:
    text = refusal(torch_bytes(state_of(made("plain"), "NALU", (4, 2))))
    assert "give backbone='FILE.py:NAME'" in text
    assert "shivamsaboo17:BuildHead" in text


def test_one_output_without_a_task_names_the_option(refusal: Refusal) -> None:
    text = refusal(torch_bytes(state_of(made("plain"), "NALU", (4, 1))), backbone=lambda: made("plain"))
    assert "give task='classification' or task='regression'" in text
    assert "classification" in text
    assert "regression" in text


def test_a_regression_has_one_output(refusal: Refusal) -> None:
    state = state_of(made("plain"), "NALU", (4, 2))
    text = refusal(torch_bytes(state), backbone=lambda: made("plain"), task="regression")
    assert "regression" in text
    assert "2" in text


def test_keys_that_only_one_side_has_are_named_on_each(refusal: Refusal) -> None:
    text = refusal(torch_bytes(state_of(made("normed"), "NAC", (4, 2))), backbone=lambda: made("other"))
    assert "conv_model.1." in text  # the file's BatchNorm
    assert "2.weight" in text  # the backbone's second convolution


def test_a_backbone_of_other_sizes_is_named_by_key_and_shapes(refusal: Refusal) -> None:
    text = refusal(torch_bytes(state_of(made("plain"), "NAC", (4, 2))), backbone=lambda: made("wider"))
    assert "conv_model.2." in text
    assert "5" in text
    assert "6" in text


@pytest.mark.parametrize("factory", ["broken", "number", "absent"])
def test_a_backbone_that_cannot_be_made_is_named(factory: str, backbones: str, tmp_path: Path) -> None:
    state = state_of(made("plain"), "NAC", (4, 2))
    with pytest.raises(InputError, match=f"backbone='{backbones}:{factory}'"):
        opened(state, tmp_path, backbone=f"{backbones}:{factory}")


def test_an_input_of_the_head_that_the_convolution_does_not_give_is_refused(refusal: Refusal) -> None:
    state = state_of(made("plain"), "NAC", (4, 2))
    state["head.model.0.W"] = torch.ones(2, 7)
    text = refusal(torch_bytes(state), backbone=lambda: made("plain"))
    assert "adaptive_module.conv.weight" in text
    assert "7" in text
    assert "4" in text


def test_the_convolution_must_be_one_by_one(refusal: Refusal) -> None:
    state = state_of(made("plain"), "NAC", (4, 2))
    state["adaptive_module.conv.weight"] = torch.ones(4, CHANNELS, 3, 3)
    text = refusal(torch_bytes(state), backbone=lambda: made("plain"))
    assert "adaptive_module.conv.weight" in text


def test_a_head_is_not_guessed_from_rows(tmp_path: Path) -> None:
    """The head alone can be taken out of the file by its prefix, and then it takes rows of features."""
    state = state_of(made("plain"), "NALU", (4, 3))
    checkpoint = opened(state, tmp_path, prefix="head.")
    rows = np.random.default_rng(5).normal(0.0, 1.0, (6, 4))
    inner = {key.removeprefix("head."): value for key, value in state.items() if key.startswith("head.")}
    assert checkpoint.layout == "shivamsaboo17:NALU"
    assert worst(outputs(checkpoint.model, rows), HEADS["NALU"].reference(inner, rows)) <= RELATIVE
