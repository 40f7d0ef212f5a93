import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, ArithmeticLayer, InputError, NACCell, NALUCell, build_head, load, save
from nalu_export.checkpoints.container import Contents
from nalu_export.checkpoints.native import FORMAT, VERSION, native_payload, read_native
from tests.checkpoints import files
from tests.checkpoints.layers import OWN_CASES, STOCK_CASES, randomised

PLAIN = {"stored": False, "gate_bias": False, "two_gates": False}
KINDS: dict[str, Callable[[], nn.Module]] = {
    f"{name} {index}": make for name, (_, makers) in OWN_CASES.items() for index, make in enumerate(makers)
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_bit_for_bit(kind: str, suffix: str, tmp_path: Path) -> None:
    model = randomised(KINDS[kind]())
    save(model, tmp_path / f"model{suffix}")
    loaded = load(tmp_path / f"model{suffix}")
    assert type(loaded) is type(model)
    assert repr(loaded) == repr(model)
    assert not loaded.training
    before, after = model.state_dict(), loaded.state_dict()
    assert list(before) == list(after)
    assert (tmp_path / f"model{suffix}").read_bytes().startswith(b"PK") is (suffix == ".pt")
    for name, value in before.items():
        assert value.dtype == after[name].dtype
        assert value.numpy().tobytes() == after[name].numpy().tobytes()
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_every_layer_of_the_package_has_a_case() -> None:
    public = {name for name, kind in ArithmeticLayer.registry.items() if kind.__module__.startswith("nalu_export.")}
    assert {name for name in public if not name.startswith("_")} | {"BackboneHead"} == OWN_CASES.keys()


def test_a_backbone_of_every_listed_layer(tmp_path: Path) -> None:
    """All of them in one file, two dimensional first, then flattened."""
    shapes = {name: shape for name, (shape, _) in STOCK_CASES.items()}
    model = nn.Sequential()
    for name, (_, makers) in STOCK_CASES.items():
        for index, make in enumerate(makers):
            model.add_module(f"{name}_{index}", make())
    randomised(model)
    save(model, tmp_path / "model.pt")
    loaded = load(tmp_path / "model.pt")
    assert repr(loaded) == repr(model)
    for (name, part), copied in zip(model.named_children(), loaded.children(), strict=True):
        x = torch.randn(shapes[name.partition("_")[0]])
        assert torch.equal(part(x.clone()), copied(x.clone())), name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_types_are_kept(dtype: torch.dtype, tmp_path: Path) -> None:
    model = NALU(3, 2).to(dtype)
    save(model, tmp_path / "model.pt")
    after = load(tmp_path / "model.pt").state_dict()
    assert {value.dtype for value in after.values()} == {dtype}
    assert all(torch.equal(value, after[name]) for name, value in model.state_dict().items())


def test_special_values_are_kept(tmp_path: Path) -> None:
    model = NACCell(4, 1)
    with torch.no_grad():
        model.W_hat.copy_(torch.tensor([[float("nan"), float("-inf"), -0.0, 1e-45]]))
    save(model, tmp_path / "model.pt")
    after = load(tmp_path / "model.pt").state_dict()["W_hat"]
    assert after.numpy().tobytes() == model.W_hat.detach().numpy().tobytes()


def test_the_loaded_model_trains(tmp_path: Path) -> None:
    save(NALU(2, 3, 1), tmp_path / "model.pt")
    model = load(tmp_path / "model.pt")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.rand(5, 2)).sum().backward()
    optimizer.step()
    assert all(not torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_same_model_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_head(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), 2, [3], "classification", 4)
    (tmp_path / "elsewhere").mkdir()
    save(model, tmp_path / "a.pt")
    save(model, tmp_path / "elsewhere" / "another name.pt")
    monkeypatch.chdir(tmp_path)
    save(model, "b.pt")
    contents = {
        path.read_bytes() for path in (tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "elsewhere" / "another name.pt")
    }
    assert len(contents) == 1
    assert str(tmp_path).encode() not in contents.pop()


@pytest.mark.slow
def test_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys, torch, nalu_export; torch.manual_seed(5); nalu_export.save(nalu_export.NALU(3, 4, 2), sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, "other.pt"], check=True, cwd=tmp_path)
    torch.manual_seed(5)
    save(NALU(3, 4, 2), tmp_path / "here.pt")
    assert (tmp_path / "here.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()


def test_loading_and_saving_again_gives_the_same_bytes(tmp_path: Path) -> None:
    save(NALU(3, 4, 2, tied=False), tmp_path / "a.pt")
    save(load(tmp_path / "a.pt"), tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_only_what_belongs_to_the_model_is_written(tmp_path: Path) -> None:
    """A parameter may be a view of a large tensor, and torch.save would write all of that."""
    model, alone = NACCell(2, 2), NACCell(2, 2)
    large = torch.full((1000, 1000), 0.123)
    model.W_hat = nn.Parameter(large[:2, :2])
    model.M_hat = nn.Parameter(large.flatten()[:4].view(2, 2))
    alone.load_state_dict(model.state_dict())
    save(model, tmp_path / "view.pt")
    save(alone, tmp_path / "alone.pt")
    assert (tmp_path / "view.pt").read_bytes() == (tmp_path / "alone.pt").read_bytes()


def test_saving_changes_nothing(tmp_path: Path) -> None:
    model = NALU(3, 2).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    save(model, tmp_path / "model.pt")
    after_saving = torch.rand(1)
    torch.manual_seed(3)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(value.is_meta for value in model.parameters())
    assert torch.equal(after_saving, torch.rand(1)), "saving drew from the user's random numbers"


def test_torch_alone_reads_the_file(tmp_path: Path) -> None:
    """The documented layout: nothing but data, so that it can be read without this package."""
    model = NALU(3, 2)
    save(model, tmp_path / "model.pt")
    payload = torch.load(tmp_path / "model.pt", weights_only=True)
    assert list(payload) == ["format", "version", "model", "state_dict"]
    assert (payload["format"], payload["version"]) == (FORMAT, VERSION) == ("nalu_export", 1)
    assert payload["model"] == {
        "type": "NALU",
        "args": {"dims": [3, 2], "eps": 1e-10, "tied": True, "gate": "matrix"} | PLAIN,
    }
    assert all(torch.equal(value, payload["state_dict"][name]) for name, value in model.state_dict().items())


def test_an_existing_file_is_replaced_with_the_mode_that_new_files_get(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    mask = os.umask(0o027)
    try:
        save(NAC(2, 1), path)
    finally:
        os.umask(mask)
    assert isinstance(load(path), NAC)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no/model.pt", r"no/model\.pt: its folder .*/no does not exist; create it first"),
        ("", r": exists and is not a regular file; choose another output path"),
        ("x" * 300, r": cannot be written: File name too long"),
    ],
)
def test_where_it_cannot_be_saved(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{text}$"):
        save(NAC(2, 1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        (99, "99"),
        (0, "0"),
        (None, "None"),
        ("1", "'1'"),
        (True, "True"),
        (1.0, "1.0"),
        pytest.param(10**5000, "a value of type int", id="endless"),
    ],
)
def test_another_version(version: Any, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        read_native(files.native(files.linear(), version=version))
    assert str(caught.value) == f"is in version {shown} of the nalu_export format; this release reads 1"


@pytest.mark.parametrize("version", [torch.tensor([1, 2]), torch.tensor(1), [1]])
def test_a_version_that_is_not_a_number(version: Any) -> None:
    with pytest.raises(InputError, match=r"^is in version a value of type \w+ of the nalu_export format"):
        read_native(files.native(files.linear(), version=version))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"format": "nalu_export"}, True),
        ({"format": "other"}, False),
        ({"format": torch.zeros(3)}, False),
        ({}, False),
        (["format"], False),
        (None, False),
    ],
)
def test_what_is_native(payload: Any, expected: bool) -> None:
    assert (native_payload(Contents("torch", payload)) is not None) is expected


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "[" * 2_000_000, '{"a":' * 100_000])
def test_a_safetensors_file_whose_description_is_none(text: str) -> None:
    with pytest.raises(InputError) as caught:
        native_payload(Contents("safetensors", {}, {FORMAT: text}))
    assert str(caught.value) == "has metadata 'nalu_export' that does not describe a model; was the file changed?"


def test_a_safetensors_file_of_another_tool_is_not_native() -> None:
    assert native_payload(Contents("safetensors", {}, {"format": "pt"})) is None


@pytest.mark.slow
def test_safetensors_has_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = (
        "import sys, torch; from nalu_export import NALU, save; torch.manual_seed(0); save(NALU(3, 1), sys.argv[1])"
    )
    found = set()
    for index in range(3):
        path = tmp_path / f"{index}.safetensors"
        seed = {"PYTHONHASHSEED": str(index)}
        subprocess.run([sys.executable, "-c", script, path], check=True, env=os.environ | seed)
        found.add(path.read_bytes())
    assert len(found) == 1


def test_the_same_source_has_the_same_hash(tmp_path: Path) -> None:
    from nalu_export.checkpoints import read_checkpoint

    save(NALUCell(2, 1), tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt")
    assert checkpoint.sha256 == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()
    assert checkpoint.notes == ()
