"""The state_dict of our own build_head: a CNN's weights without its code, and a head behind them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from nalu_export import build_head
from nalu_export.checkpoints import read_checkpoint
from tests.checkpoints.conftest import Refusal
from tests.checkpoints.files import torch_bytes

IMAGES = torch.randn(3, 2, 9, 9)


def backbone() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU())


def head(task: str = "classification", outputs: int = 3, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_head(backbone(), 5, options.pop("hidden", [4]), task, outputs, **options).eval()


HEADS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "classes": (head, {}),
    "two layers": (lambda: head(hidden=[4, 6]), {}),
    "a NAC": (lambda: head(head_type="NAC"), {}),
    "a row for a gate": (lambda: head(gate="row", tied=False), {}),
    "a number": (lambda: head("regression", 1), {"task": "regression"}),
    "one class": (lambda: head("classification", 1), {"task": "classification"}),
    "another eps": (lambda: head(eps=1e-3), {"eps": 1e-3}),
    "in float64": (lambda: head().double(), {}),
}


def same(found: nn.Module, model: nn.Module) -> bool:
    """Whether two models give the same numbers."""
    with torch.no_grad():
        x = IMAGES.to(next(model.parameters()).dtype)
        return torch.equal(found(x), model(x))


@pytest.mark.parametrize("case", HEADS)
def test_read_with_the_code_of_its_cnn(case: str, tmp_path: Path) -> None:
    make, options = HEADS[case]
    model = make()
    torch.save(model.state_dict(), tmp_path / "head.pt")
    checkpoint = read_checkpoint(tmp_path / "head.pt", backbone=backbone, **options)
    assert checkpoint.layout == "nalu-export:build_head"
    assert same(checkpoint.model, model)
    whats = [each.what for each in checkpoint.assumptions]
    assert whats[0] == "formula"
    assert whats[-1] == "pooling"
    assert "orientation" not in whats  # the convolution before the head gives its size
    assert ("eps" in whats) == (case not in ("a NAC", "another eps"))
    assert ("task" in whats) == ("task" not in options)


@pytest.mark.parametrize("prefix", ["module.", "net."])
def test_under_a_wrapper(prefix: str, tmp_path: Path) -> None:
    state = {prefix + name: value for name, value in head().state_dict().items()}
    torch.save({"model": state, "optimizer": {"state": {}, "param_groups": []}}, tmp_path / "head.pt")
    assert same(read_checkpoint(tmp_path / "head.pt", backbone=backbone).model, head())


def test_strict_wants_its_code(refusal: Refusal) -> None:
    text = refusal(torch_bytes(head().state_dict()), backbone=backbone, strict=True, layout="nalu-export", eps=1e-10)
    assert text == (
        "does not say its task and pooling, and strict=True allows no assumptions; give its code: model='FILE.py:NAME'"
    )


def test_what_is_missing_is_named(refusal: Refusal) -> None:
    assert refusal(torch_bytes(head().state_dict())).endswith("; give backbone='FILE.py:NAME'")
    assert refusal(torch_bytes(head("regression", 1).state_dict()), backbone=backbone) == (
        "is nalu-export:build_head with one output, which fits both tasks; give "
        "task='classification' or task='regression'"
    )


def test_of_a_square_head_the_convolution_does_not_tell_which_way_round(refusal: Refusal) -> None:
    text = refusal(torch_bytes(head(hidden=[3]).state_dict()), backbone=backbone)
    assert "nalu-export:build_head (3 → 3), nalu-export:build_head-turned (3 → 3)" in text


def _under_a_norm(norm: Callable[..., object]) -> tuple[nn.Module, dict[str, Tensor]]:
    model = head()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        norm(model.get_submodule("backbone.0"))
    model.eval()
    return model, model.state_dict()


@pytest.mark.parametrize(
    "norm",
    [nn.utils.weight_norm, parametrizations.weight_norm, nn.utils.spectral_norm, parametrizations.spectral_norm],
    ids=["old weight", "weight", "old spectral", "spectral"],
)
def test_a_cnn_under_a_norm_is_read_into_one_with_and_without_it(norm: Callable[..., object], tmp_path: Path) -> None:
    model, state = _under_a_norm(norm)
    torch.save(state, tmp_path / "head.pt")

    def with_it() -> nn.Module:
        return _under_a_norm(norm)[0].get_submodule("backbone")

    for make in (backbone, with_it):
        found = read_checkpoint(tmp_path / "head.pt", backbone=make)
        torch.testing.assert_close(found.model(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-6)
        assert any(note.endswith(", if the module of backbone has the weight itself") for note in found.notes)
