"""One file of everything that is written into ONNX files: each primitive in each type, each family, a loop, inputs."""

import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

import nalu_export
from nalu_export.formats.base import EmitOptions
from nalu_export.formats.onnx.format import FORMAT
from nalu_export.formats.onnx.options import OnnxOptions
from nalu_export.formats.onnx.primitives import EMITTERS
from nalu_export.graph.folding import COMPUTE, WEIGHTS
from tests.captured import graph_of
from tests.formats.families import MODELS, features_of
from tests.formats.onnx.test_primitives import _LISTS, _SHAPES, COMPUTING, _case, _model, _numbers
from tests.graph.test_loops import STEPS, Rest, Scanned
from tests.interfaces.nets import CASES as INTERFACES
from tests.primitives.cases import CASES

OPSETS = (17, 20, 24)
TYPES = (np.float32, np.float64)
MOVED = (*TYPES, np.bool_)


class FromAState(Scanned):
    """The state before the first step is given, so that no size is computed."""

    def forward(self, x: Tensor, state: Tensor) -> Tensor:  # type: ignore[override]
        def step(h: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
            new = self.cell(torch.cat([xt, h], -1))
            return new, new.clone()

        return scan(step, state, x.transpose(0, 1), dim=0)[0]  # type: ignore[no-any-return]


@functools.cache
def arithmetic() -> dict[str, onnx.ModelProto]:
    """Of what we write ourselves, by a name for messages."""
    return dict((*_primitives(), *_shapes(), *_families()))


@functools.cache
def with_surroundings() -> dict[str, onnx.ModelProto]:
    """Of models with inputs of several types, and of loops; torch.onnx writes a part of some."""
    found = {f"interface {name}": _exported(c.build(), c.example, c.options) for name, c in INTERFACES.items()}
    steps = torch.ones(3, 7, 3)
    found["loop"] = _exported(Scanned(), steps, STEPS)
    found["loop with a rest"] = _exported(Rest(), (steps, torch.ones(3, 2)), STEPS)
    found["loop from a state"] = _exported(FromAState(), (steps, torch.ones(3, 2)), STEPS)
    return found


def _exported(model: nn.Module, example: Any, options: dict[str, Any]) -> onnx.ModelProto:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own code: see tests/graph/test_loops.py
        path = Path(folder, "model.onnx")
        nalu_export.export(model, path, format="onnx", check=False, example_inputs=example, **options)
        return onnx.load(path)


def _primitives() -> Iterator[tuple[str, onnx.ModelProto]]:
    for name in COMPUTING:
        for dtype in TYPES:
            given = [array[:5] for array in _case(name, dtype, 1)[1]]
            for opset in OPSETS:
                yield f"{name} {dtype.__name__} {opset}", _file(name, given, CASES[name].rest, opset)
    for opset in OPSETS:
        yield f"sum bool {opset}", _file("sum", [np.ones((2, 3), np.bool_)], (1, False), opset)
        yield f"flattened scalar {opset}", _file("flatten", [np.array(1.0, np.float32)], (0, -1), opset)


def _file(name: str, given: list[Any], rest: tuple[Any, ...], opset: int) -> onnx.ModelProto:
    return _model(lambda build, *values: EMITTERS[name](build, *values, *rest), given, opset)[0]


def _shapes() -> Iterator[tuple[str, onnx.ModelProto]]:
    for opset in OPSETS:
        for dtype in MOVED:
            for place, (name, rest, shapes) in enumerate(_SHAPES):
                for shape in shapes:
                    about = f"{name} {place} {len(shape)} {dtype.__name__} {opset}"
                    yield about, _file(name, [_numbers(shape).astype(dtype)], rest, opset)
            for name, dim, shapes in _LISTS:
                arrays = [_numbers(shape).astype(dtype) for shape in shapes]
                proto, _ = _model(lambda b, *v, n=name, d=dim: EMITTERS[n](b, v, d), arrays, opset)
                yield f"{name} {dim} {dtype.__name__} {opset}", proto


def _families() -> Iterator[tuple[str, onnx.ModelProto]]:
    for name, build in MODELS.items():
        graph = graph_of(build(), (features_of(name),))
        for weights in WEIGHTS:
            for compute in COMPUTE:
                for opset in OPSETS:
                    draft = FORMAT.emit(graph, EmitOptions(weights, compute), OnnxOptions(opset))
                    yield f"{name} {weights} {compute} {opset}", onnx.load_from_string(draft.to_bytes({}))
