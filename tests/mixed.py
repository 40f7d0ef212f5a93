"""A model of inputs and outputs of every type, one of them shared, as both kinds of file that a program runs."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn

from nalu_export.api.golden_files import Golden, GoldenInput
from nalu_export.modules import jit
from tests.goldens import output_of

DIGEST = "0123456789abcdef" * 4
INPUTS: dict[str, tuple[Any, list[Any]]] = {
    "x": (TensorProto.FLOAT, ["n", 2]),
    "count": (TensorProto.INT64, ["n"]),
    "mask": (TensorProto.BOOL, ["n", 2, 1]),
    "w": (TensorProto.DOUBLE, ["n"]),
    "z": (TensorProto.INT32, ["n", 3]),
}
OUTPUTS: dict[str, tuple[Any, list[Any]]] = {
    "twice": (TensorProto.FLOAT, ["n", 2]),
    "minus": (TensorProto.FLOAT, ["n", 2]),
    "total": (TensorProto.INT64, ["n"]),
    "k": (TensorProto.INT64, []),
    "inverse": (TensorProto.BOOL, ["n", 2, 1]),
    "square": (TensorProto.DOUBLE, ["n"]),
    "next": (TensorProto.INT32, ["n", 3]),
}


class Mixed(nn.Module):
    """What :func:`outputs_of` computes, as a module that can be scripted."""

    def forward(
        self, x: Tensor, count: Tensor, mask: Tensor, w: Tensor, z: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        k = torch.tensor(-7, dtype=torch.int64)
        return x + x, -x, count + count, k, ~mask, w * w, z + 1


def inputs_of(samples: int) -> dict[str, NDArray[Any]]:
    """Numbers of every size that the outputs are exact for."""
    rng = np.random.default_rng(samples)
    return {
        "x": rng.normal(size=(samples, 2)).astype(np.float32),
        "count": rng.integers(-(2**51), 2**51, samples),
        "mask": rng.random((samples, 2, 1)) < 0.5,
        "w": rng.normal(size=samples),
        "z": rng.integers(-(2**31), 2**31 - 1, (samples, 3)).astype(np.int32),
    }


def outputs_of(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The outputs by name, in their order."""
    x, count, mask, w, z = inputs.values()
    k = np.array(-7, np.int64)
    return dict(zip(OUTPUTS, (x + x, -x, count + count, k, ~mask, w * w, z + np.int32(1)), strict=True))


def golden_of(samples: int, outputs: Sequence[str] = tuple(OUTPUTS)) -> Golden:
    """A golden file with these outputs."""
    inputs = inputs_of(samples)
    found = outputs_of(inputs)
    return Golden(
        DIGEST,
        "float32",
        tuple(GoldenInput(name, values) for name, values in inputs.items()),
        tuple(output_of(name, found[name], shared=name == "k") for name in outputs),
    )


def metadata(*, names: bool = True) -> dict[str, str]:
    """As much of it as a program reads, with or without the names."""
    texts = {"source_sha256": DIGEST, "compute": "float32"}
    if names:
        for key, values in (("inputs", INPUTS), ("outputs", OUTPUTS)):
            texts[key] = json.dumps(
                [{"dtype": "any", "name": name, "shape": shape} for name, (_, shape) in values.items()]
            )
    return {f"nalu_export.{key}": text for key, text in texts.items()}


def onnx_file() -> bytes:
    """The model as ONNX."""
    inputs, outputs = (
        [helper.make_tensor_value_info(name, *kind) for name, kind in values.items()] for values in (INPUTS, OUTPUTS)
    )
    constants = [
        helper.make_tensor("one", TensorProto.INT32, [], [1]),
        helper.make_tensor("seven", TensorProto.INT64, [], [7]),
    ]
    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Neg", ["x"], ["minus"]),
        helper.make_node("Add", ["count", "count"], ["total"]),
        helper.make_node("Neg", ["seven"], ["k"]),
        helper.make_node("Not", ["mask"], ["inverse"]),
        helper.make_node("Mul", ["w", "w"], ["square"]),
        helper.make_node("Add", ["z", "one"], ["next"]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(proto, metadata(names=False))
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString()
    return data


def torchscript_file(*, names: bool = True) -> bytes:
    """The model as TorchScript."""
    return scripted(Mixed(), names=names)


def scripted(module: nn.Module, *, names: bool = False) -> bytes:
    """A module with the metadata of the model."""
    with jit.quiet():
        script = torch.jit.script(module)
    return jit.save(script, {"nalu_export.json": json.dumps(metadata(names=names))})
