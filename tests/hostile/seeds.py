"""Good files of every kind, small, to be changed a little."""

import functools
import io
import json
import pickle
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from nalu_export import NAC, NALU, NALUCell
from nalu_export.checkpoints.description import describe
from tests.checkpoints import files
from tests.hostile.exports import exported
from tests.hostile.tensors import entry, pt2


def _states() -> dict[str, dict[str, torch.Tensor]]:
    """State_dicts of several public layouts."""
    one, two = torch.ones(1, 2), torch.ones(2, 2)
    return {
        "ours": dict(NALU(2, 2, 1).state_dict()),
        "kevinzakka": {"model.0.G": two, "model.0.nac.W_hat": two, "model.0.nac.M_hat": two},
        "shivamsaboo17": {"model.0.G": one, "model.0.W": one, "model.0.nac.W": one},
        "vrxacs": {"G": one, "NAC.W_hat": two, "NAC.M_hat": two},
        "arthurdouillard": {
            f"_nac_stack.0.{name}": torch.ones(2, 1) for name in ("_W_hat", "_M_hat", "W_hat", "M_hat")
        },
        "amg": {
            "g.weight": one, "g.bias": one[0, :1], "eps": torch.tensor(1e-10),
            **{f"{path}.{name}": one for path in "am" for name in ("w_hat", "m_hat")},
        },
        "cnn": {
            "conv_model.0.weight": torch.ones(1, 1, 1, 1), "adaptive_module.conv.weight": torch.ones(2, 1, 1, 1),
            "adaptive_module.conv.bias": torch.ones(2), "head.model.0.W": one,
        },
        "own cnn": {
            "backbone.0.weight": torch.ones(1, 1, 1, 1), "reduce.weight": torch.ones(2, 1, 1, 1),
            "reduce.bias": torch.ones(2), "head.layers.0.W_hat": one, "head.layers.0.M_hat": one,
        },
        "weight_norm": {"layers.0.W_hat_g": one[:, :1], "layers.0.W_hat_v": one, "layers.0.M_hat": one},
        "weight_norm 2": {
            f"layers.0.parametrizations.{name}.original{part}": one[:, : part + 1]
            for name in ("W_hat", "M_hat") for part in (0, 1)
        },
        "spectral_norm": {
            "layers.0.W_hat_orig": one, "layers.0.W_hat_u": one[0, :1], "layers.0.W_hat_v": one[0],
            "layers.0.M_hat": one,
        },
        "wrapped": {"module.W_hat": one.double(), "module.M_hat": one.double()},
    }  # fmt: skip


STATES = _states()


def _native(model: nn.Module) -> dict[str, object]:
    return files.native(describe(model), dict(model.state_dict()))


def _checkpoint() -> dict[str, object]:
    """What a training loop saves: weights, and much beside."""
    return {
        "epoch": 3,
        "model_state_dict": STATES["ours"],
        "optimizer_state_dict": {
            "state": {0: {"step": torch.tensor(1.0)}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99)}],
        },
        "numpy_rng_state": np.random.RandomState(0).get_state(),
        "loss": np.float64(0.5),
    }


def _holders() -> dict[str, object]:
    """Weights beside their average, and a state_dict of two models."""
    average = {f"module.{name}": value for name, value in STATES["ours"].items()}
    return {
        "average": {"net": STATES["ours"], "ema": {"module": average, "decay": 0.9}, "args": {"lr": 0.1}},
        "two": {"a": {"b": STATES["vrxacs"]}, "ema": STATES["cnn"], "optim": {"state": {}, "param_groups": [1]}},
    }


@functools.cache
def torch_files() -> dict[str, bytes]:
    """Files of torch.save."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), NALUCell(2, 1, gate="row"))
    payloads = {
        **STATES,
        **_holders(),
        "native": _native(model),
        "stack": _native(NAC(2, 1)),
        "checkpoint": _checkpoint(),
    }
    payloads["parameters"] = {name: nn.Parameter(value) for name, value in STATES["vrxacs"].items()}
    return {name: files.torch_bytes(payload) for name, payload in payloads.items()}


@functools.cache
def legacy_files() -> dict[str, bytes]:
    """The same as torch wrote them in 2018."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: files.torch_bytes(state, legacy=True) for name, state in STATES.items()}


@functools.cache
def safetensors_files() -> dict[str, bytes]:
    """Safetensors files, ours among them."""
    about = json.dumps({"format": "nalu_export", "version": 1, "model": describe(NAC(2, 1))})
    plain = {
        name: save({key: value.clone() for key, value in state.items()})  # it refuses tensors that share memory
        for name, state in STATES.items()
    }
    return {**plain, "native": save(dict(NAC(2, 1).state_dict()), {"nalu_export": about})}


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def _halves() -> dict[str, dict[str, torch.Tensor]]:
    state = STATES["ours"]
    first = dict(list(state.items())[:3])
    return {FIRST: first, SECOND: {name: value for name, value in state.items() if name not in first}}


@functools.cache
def parts() -> dict[str, bytes]:
    """Weights in two files."""
    return {name: save({key: value.clone() for key, value in half.items()}) for name, half in _halves().items()}


@functools.cache
def indices() -> dict[str, bytes]:
    """What says where each tensor is."""
    listing = {key: name for name, half in _halves().items() for key in half}
    return {"index": json.dumps({"metadata": {"total_size": 1}, "weight_map": listing}).encode()}


@functools.cache
def pt2_files() -> dict[str, bytes]:
    """Archives of torch.export: ours to write are as small as the reader needs them."""
    first, second = entry("weight_0")["config"], entry("weight_1")["config"]
    config = {"config": {"layers.0.W_hat": first["layers.0.W_hat"], "layers.0.M_hat": second["layers.0.W_hat"]}}
    older = {"m/archive_format": b"pt2", "m/data/weights/model.pt": torch_files()["ours"]}
    return {"new": pt2(config, weight_0=bytes(8), weight_1=bytes(8)), "old": files.zip_bytes(older)}


@functools.cache
def artifact_files() -> dict[str, bytes]:
    """Exported files."""
    return {
        "onnx": exported("onnx"),
        "live": exported("onnx", live=True),
        "torchscript": exported("torchscript"),
        "header": exported("cpp"),
    }


def onnx_files() -> dict[str, bytes]:
    """Those in ONNX."""
    return {name: artifact_files()[name] for name in ("onnx", "live")}


@functools.cache
def input_files() -> dict[str, bytes]:
    """Inputs of numpy."""
    made = {}
    arrays: dict[str, NDArray[Any]] = {
        "floats": np.ones((3, 2), np.float32),
        "columns": np.asfortranarray(np.ones((3, 2))),
        "integers": np.ones((2, 2), ">i2"),
        "records": np.zeros((1, 2), "f4,(2,2)i1"),
        "nothing": np.zeros((0, 2)),
    }
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        made[name] = buffer.getvalue()
    for name, write in {"npz": np.savez, "compressed": np.savez_compressed}.items():
        buffer = io.BytesIO()
        write(buffer, x=np.ones((3, 2)), y=np.zeros((1, 2)))
        made[name] = buffer.getvalue()
    return made


@functools.cache
def evil_files() -> dict[str, bytes]:
    """Files that leave a file behind when they are unpickled."""
    command = "touch executed"
    return {
        "zip": files.evil(command),
        "legacy": files.evil(command, legacy=True),
        "bare": files.evil(command, bare=True),
        "module": files.whole_module(),
        "protocol 4": files.torch_bytes({"W_hat": files.RunsCode(exec, "open('executed', 'w')")}, protocol=4),
        "array": pickle.dumps(np.array([files.RunsCode(exec, "open('executed', 'w')")]), 2),
    }


@functools.cache
def all_files() -> tuple[bytes, ...]:
    """All of them."""
    kinds = (torch_files, legacy_files, safetensors_files, pt2_files, artifact_files, input_files, evil_files)
    return tuple(data for kind in kinds for data in kind().values())
