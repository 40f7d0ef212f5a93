"""Any checkpoint into our own format and back: no bit of a weight changes."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export import InputError, convert, load, save
from nalu_export.checkpoints import read_checkpoint
from tests.checkpoints.layers import OWN_CASES, randomised

FAUX = {
    "model.0.G": torch.randn(4, 3),
    "model.0.nac.W_hat": torch.randn(4, 3),
    "model.0.nac.M_hat": torch.randn(4, 3),
    "model.0.W": torch.randn(4, 3),
    "model.0.nac.W": torch.randn(4, 3),
}


def bits(model: nn.Module) -> dict[str, tuple[str, bytes]]:
    return {
        name: (str(value.dtype), value.contiguous().view(torch.uint8).numpy().tobytes())
        for name, value in model.state_dict().items()
        if value.dim()
    }


def written(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_back_and_forth_changes_no_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    state = {name: value.to(dtype) for name, value in FAUX.items()}
    state["model.0.W"][0, 0] = -0.0
    state["model.0.W"][0, 1] = torch.finfo(dtype).tiny / 2
    state["model.0.nac.W"][0, 0] = float("nan")
    state["model.0.nac.W"][0, 1] = float("-inf")
    first = written(state, tmp_path / "model.pt")
    before, wanted = first.read_bytes(), bits(load(first))
    assert wanted["layers.0.W_mul"] == (str(dtype), state["model.0.W"].view(torch.uint8).numpy().tobytes())
    source = first
    for number, suffix in enumerate((".safetensors", ".pt", ".safetensors", ".pt")):
        target = tmp_path / f"{number}{suffix}"
        found = convert(source, target)
        assert (found.path, found.self_contained) == (target, True)
        assert found.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
        assert bits(load(target)) == wanted
        assert repr(load(target)) == repr(load(first))
        source = target
    assert (tmp_path / "0.safetensors").read_bytes() != (tmp_path / "2.safetensors").read_bytes()  # another source
    assert first.read_bytes() == before


@pytest.mark.parametrize("name", OWN_CASES)
def test_every_layer_of_ours(name: str, tmp_path: Path) -> None:
    model = randomised(OWN_CASES[name][1][-1]())
    save(model, tmp_path / "model.pt")
    convert(tmp_path / "model.pt", tmp_path / "model.safetensors")
    convert(tmp_path / "model.safetensors", tmp_path / "again.pt")
    assert bits(load(tmp_path / "again.pt")) == bits(model)
    assert repr(load(tmp_path / "again.pt")) == repr(model)


def test_what_was_assumed_is_kept(tmp_path: Path) -> None:
    source = written(FAUX, tmp_path / "model.pt")
    found = convert(source, tmp_path / "own.pt", eps=1e-5)
    assert found.layout == "kevinzakka:fauxNALU-untied"
    assert found.notes[0] == "layout kevinzakka:fauxNALU-untied"
    again = read_checkpoint(tmp_path / "own.pt")
    assert (again.notes, again.layout) == ((), None)
    assert again.model.eps == 1e-5


def test_the_source_s_hash_is_in_the_file(tmp_path: Path) -> None:
    source = written(FAUX, tmp_path / "model.pt")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    convert(source, tmp_path / "own.pt")
    assert torch.load(tmp_path / "own.pt", weights_only=True)["source_sha256"] == digest
    convert(source, tmp_path / "own.safetensors")
    assert digest.encode() in (tmp_path / "own.safetensors").read_bytes()


class _Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 3)


def test_a_model_with_layers_of_the_user_s_keeps_weights_only(tmp_path: Path) -> None:
    source = written(_Own().state_dict(), tmp_path / "model.pt")
    found = convert(source, tmp_path / "own.safetensors", _Own)
    assert not found.self_contained
    with pytest.raises(InputError, match=r"does not describe its model; give model='FILE.py:NAME'"):
        load(tmp_path / "own.safetensors")
    assert bits(load(tmp_path / "own.safetensors", _Own)) == bits(load(source, _Own))


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("model.pt", "is the source itself; choose another output path"),
        ("no/own.pt", "its folder {folder}/no does not exist; create it first"),
        (".", "exists and is not a regular file; choose another output path"),
    ],
)
def test_targets_that_are_refused(target: str, text: str, tmp_path: Path) -> None:
    source = written(FAUX, tmp_path / "model.pt")
    before = source.read_bytes()
    with pytest.raises(InputError) as caught:
        convert(source, tmp_path / target)
    assert str(caught.value).endswith(text.format(folder=tmp_path))
    assert source.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"wrong": 1}, "^convert takes no argument 'wrong'; it takes source, "),
        ({"layout": "x"}, ": layout is 'x'; allowed owners: "),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    source = written(FAUX, tmp_path / "model.pt")
    with pytest.raises(InputError, match=text):
        convert(source, tmp_path / "own.pt", **options)
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]
