"""What stands beside the weights in files of common tools is named, and hinders nothing."""

import argparse
import collections
import datetime
import decimal
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nalu_export.checkpoints.container import Inert, unpack
from tests.checkpoints import files

BESIDE: dict[str, tuple[Any, str]] = {
    "argparse": (argparse.Namespace(lr=1e-3, layers=[1, 2]), "a value of type argparse.Namespace"),
    "path": (pathlib.PurePosixPath("a/b"), "a value of type pathlib.PurePosixPath"),
    "date": (datetime.datetime(2018, 8, 4), "a value of type datetime.datetime"),
    "duration": (datetime.timedelta(1), "a value of type datetime.timedelta"),
    "decimal": (decimal.Decimal("0.1"), "a value of type decimal.Decimal"),
    "deque": (collections.deque([1.0, 2.0]), "a value of type collections.deque"),
    "array": (np.arange(6.0).reshape(2, 3), "a value of type numpy.ndarray"),
    "array of texts": (np.array(["a"]), "a value of type numpy.ndarray"),
    "number": (np.float64(0.5), "a value of type numpy.number"),
    "dtype": (np.dtype("f4"), "a value of type numpy.dtype"),
    "generator": (np.random.default_rng(0), "a value of type numpy.random.Generator"),
    "random state": (np.random.RandomState(0), "a value of type numpy.random.RandomState"),
    "device": (torch.device("cuda:3"), "a value of type torch.device"),
    "version": (torch.__version__, "a value of type torch.torch_version.TorchVersion"),
    "layout": (torch.strided, "a value of type torch.layout"),
    "type": (torch.float32, "the name torch.float32"),
    "set": ({1, 2}, "a value of type set"),
    "range": (range(3), "a value of type range"),
}


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("case", BESIDE)
def test_objects_beside_the_weights(case: str, legacy: bool, protocol: int) -> None:
    value, _what = BESIDE[case]
    state = files.nac_state()
    found = unpack(files.torch_bytes({"state": state, "beside": value}, legacy=legacy, protocol=protocol)).payload
    assert isinstance(found["beside"], Inert)
    assert all(torch.equal(found["state"][name], state[name]) for name in state)


@pytest.mark.parametrize("case", BESIDE)
def test_they_are_named(case: str) -> None:
    value, what = BESIDE[case]
    assert unpack(files.torch_bytes({"beside": value})).payload == {"beside": Inert(what)}


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("spelling", ["numpy._core", "numpy.core"])
def test_random_state_of_numpy(spelling: str, protocol: int) -> None:
    """nalm-benchmark saves it, and torch.load(weights_only=True) refuses it; numpy 1 wrote another module's name."""
    payload: dict[str, Any] = {
        "epoch": 3,
        "model_state_dict": files.nac_state(),
        "torch_rng_state": torch.get_rng_state(),
        "numpy_rng_state": np.random.get_state(),
    }
    members = files.members_of(files.torch_bytes(payload, protocol=protocol))
    if protocol == 2:  # names are in lines; behind sizes in the other
        members["archive/data.pkl"] = members["archive/data.pkl"].replace(b"cnumpy._core", b"c" + spelling.encode())
    found = unpack(files.zip_bytes(members)).payload
    assert found["numpy_rng_state"] == (
        "MT19937",
        Inert("a value of type numpy.ndarray"),
        *payload["numpy_rng_state"][2:],
    )
    assert torch.equal(found["torch_rng_state"], torch.get_rng_state())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("pytorch_lightning.utilities.parsing", "AttributeDict"),
        ("lightning.pytorch.utilities.parsing", "AttributeDict"),
        ("lightning_fabric.utilities.data", "AttributeDict"),
        ("lightning.fabric.utilities.data", "AttributeDict"),
        ("easydict", "EasyDict"),
        ("munch", "Munch"),
        ("omegaconf.dictconfig", "DictConfig"),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_hyperparameters(module: str, name: str, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made with a class of that name, read without it."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:count]), types.ModuleType(".".join(parts[:count])))
    kind = type(name, (dict,), {"__module__": module})
    setattr(sys.modules[module], name, kind)
    made = kind(lr=0.1, inner=kind(a=[1]))
    made.note = "x"
    data = files.torch_bytes({"hyper_parameters": made, "state_dict": files.nac_state()}, legacy=legacy)
    monkeypatch.undo()
    found = unpack(data).payload
    assert found["hyper_parameters"] == Inert(f"a value of type {module}.{name}")
    assert len(found["state_dict"]) == 4


def test_callbacks_of_old_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes as keys."""
    module = "pytorch_lightning.callbacks.model_checkpoint"
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", module):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    kind = type("ModelCheckpoint", (), {"__module__": module})
    sys.modules[module].ModelCheckpoint = kind  # type: ignore[attr-defined]
    data = files.torch_bytes({"callbacks": {kind: {"best": 1.0}}})
    monkeypatch.undo()
    assert unpack(data).payload == {"callbacks": {Inert(f"the name {module}.ModelCheckpoint"): {"best": 1.0}}}


NOT_DENSE: dict[str, str] = {
    "quantised": "a quantised tensor",
    "quantised by channel": "a quantised tensor",
    "sparse": "a sparse tensor",
    "sparse rows": "a sparse tensor",
    "meta": "a meta tensor",
    "nested": "a nested tensor",
    "float8": "a tensor of type float8_e4m3fn",
    "sign pending": "a lazily negated or conjugated tensor",
}


def not_dense(case: str) -> torch.Tensor:
    ones = torch.ones(2, 2)
    if case == "quantised by channel":
        return torch.quantize_per_channel(ones, torch.ones(2), torch.zeros(2), 0, torch.quint8)
    made: dict[str, Callable[[], torch.Tensor]] = {
        "quantised": lambda: torch.quantize_per_tensor(ones, 0.1, 0, torch.qint8),
        "sparse": ones.to_sparse,
        "sparse rows": ones.to_sparse_csr,
        "meta": lambda: ones.to("meta"),
        "nested": lambda: torch.nested.nested_tensor([ones[0], ones[0, :1]]),
        "float8": lambda: ones.to(torch.float8_e4m3fn),
        "sign pending": lambda: torch.ones(2, dtype=torch.complex64).conj().imag,
    }
    return made[case]()


@pytest.mark.filterwarnings("ignore:.*prototype stage")  # torch, on making a nested tensor
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")  # torch, on making a CSR tensor
@pytest.mark.filterwarnings("ignore:.*[Qq]uantiz.*deprecated")  # torch, on making a quantised tensor
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("case", NOT_DENSE)
def test_tensors_that_are_not_dense_are_named(case: str, legacy: bool) -> None:
    data = files.torch_bytes({"w": not_dense(case), "v": torch.ones(2)}, legacy=legacy)
    found = unpack(data).payload
    assert found["w"] == Inert(NOT_DENSE[case])
    assert torch.equal(found["v"], torch.ones(2))
