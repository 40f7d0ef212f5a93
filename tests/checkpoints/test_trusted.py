"""Files that run code when they are loaded: refused, or loaded when the user says so."""

import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nalu_export import NAC, InputError
from nalu_export.checkpoints.container import Inert, unpack
from nalu_export.modules import jit
from tests.checkpoints import files
from tests.checkpoints.programs import refused

INSTEAD = "save model.state_dict() or use nalu_export.save(model, path)"
TRUST = "or give trust=True if you made it yourself"
NOTE = "was loaded with trust=True, which ran code in it"


def trusted_refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        unpack(data, trust=True)
    return str(caught.value)


def test_torchscript() -> None:
    model = NAC(3, 2)
    data = jit.save(jit.trace(model, (torch.zeros(1, 3),)), {})
    assert refused(data) == f"is a TorchScript archive, which runs code when loaded; {INSTEAD}, {TRUST}"
    found = unpack(data, trust=True)
    assert (found.kind, found.notes) == ("torchscript", (NOTE,))
    assert type(found.payload) is dict
    assert all(torch.equal(found.payload[name], value) for name, value in model.state_dict().items())


def test_torchscript_damaged() -> None:
    model = NAC(3, 2)
    data = bytearray(jit.save(jit.trace(model, (torch.zeros(1, 3),)), {}))
    data[data.index(model.state_dict()["layers.0.W_hat"].numpy().tobytes())] ^= 1
    assert (
        trusted_refusal(bytes(data))
        == "is damaged: the checksum of 'archive/data/0' does not match; copy or download it again"
    )


def test_torchscript_that_is_none() -> None:
    data = files.zip_bytes({"a/constants.pkl": b"\x80\x02).", "a/data.pkl": b"\x80\x02N."})
    assert trusted_refusal(data).startswith("is a TorchScript archive that torch cannot load: ")


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_module(legacy: bool) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    data = files.torch_bytes(model, legacy=legacy)
    name = "torch.nn.modules.container.Sequential"
    assert refused(data) == f"is a pickled module ({name}), which runs code when loaded; {INSTEAD}, {TRUST}"
    found = unpack(data, trust=True)
    assert (found.kind, found.notes) == ("pickled module", (NOTE,))
    assert list(found.modules) == [""]
    assert list(found.payload) == list(model.state_dict())
    assert all(torch.equal(found.payload[name], value) for name, value in model.state_dict().items())
    assert not any(value.requires_grad for value in found.payload.values())


def test_modules_and_objects_beside_each_other() -> None:
    payload = {
        "model": nn.Linear(1, 1),
        "loss": [0.5, (nn.ReLU(),)],
        "path": Path("x"),
        "weight": nn.Parameter(torch.ones(1)),
    }
    contents = unpack(files.torch_bytes(payload), trust=True)
    assert list(contents.modules) == ["model", "loss.1.0"]
    found = contents.payload
    assert list(found["model"]) == ["weight", "bias"]
    assert found["loss"] == [0.5, ({},)]
    assert found["path"] == Inert("a value of type pathlib.PosixPath")
    assert type(found["weight"]) is torch.Tensor


def test_what_can_be_read_is_read_without_running_it() -> None:
    """--trust allows; it does not make a file run that needs it not."""
    found = unpack(files.torch_bytes(files.nac_state()), trust=True)
    assert (found.kind, found.notes) == ("torch", ())


def test_it_runs_with_trust_only(tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    data = files.evil(f"touch '{marker}'")
    assert "would run code" in refused(data)
    assert not marker.exists()
    unpack(data, trust=True)
    assert marker.exists()


def test_a_damaged_file_is_not_trusted() -> None:
    """What is refused for another reason than code stays refused."""
    assert trusted_refusal(b"") == "is empty; expected a model.pt"
    assert "checksum" in trusted_refusal(files.flipped_weight(3))


CODE = "from torch import nn\nclass Model(nn.Module):\n    pass\n"


def test_a_class_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is searched, as python does for its scripts."""
    (tmp_path / "their_code.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import their_code  # type: ignore[import-not-found]

    data = files.torch_bytes(their_code.Model())
    del sys.modules["their_code"]
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path), os.getcwd())])
    before = list(sys.path)
    assert trusted_refusal(data) == (
        "cannot be loaded: ModuleNotFoundError: No module named 'their_code'; "
        "run this where the classes in it can be imported"
    )
    assert sys.path == before
    monkeypatch.chdir(tmp_path)
    assert unpack(data, trust=True).payload == {}
    assert sys.path == before
    del sys.modules["their_code"]


def test_no_warning_of_torch_gets_through(recwarn: pytest.WarningsRecorder) -> None:
    unpack(files.torchscript(), trust=True)
    unpack(files.torch_bytes(nn.Linear(1, 1), legacy=True), trust=True)
    assert [str(warning.message) for warning in recwarn] == []
