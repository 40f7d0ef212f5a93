"""nalu_export.formats.onnx.functions: what is written out costs no more than its allowance, derived and measured."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from nalu_export import runtimes
from nalu_export.formats.onnx.primitives import EMITTERS
from nalu_export.primitives import PRIMITIVES, Conditioned
from nalu_export.primitives.precision import ASINH, EXPM1, FLOAT32, SINGLE, SINH
from nalu_export.runtimes.base import RunOptions
from tests.formats.onnx.test_primitives import _in_openvino, _in_reference, _model, _run

Array = NDArray[Any]
ALLOWED = {"sinh": SINH, "asinh": ASINH, "expm1": EXPM1}
# Where the branches meet, and what a float32 can hold.
SPANS = {"sinh": [(1e-30, 1.999), (2.0, 88.7)], "asinh": [(1e-30, 0.7499), (0.75, 3.4e38)], "expm1": [(1e-30, 88.7)]}
_NAMES = {"Abs": "abs", "Neg": "neg", "Mul": "mul", "Add": "add", "Sub": "sub", "Div": "div", "Sqrt": "sqrt"}
_NAMES |= {"Exp": "exp", "Log": "log", "Tanh": "tanh", "Less": "lt", "Where": "where"}


def _analysed(proto: onnx.ModelProto, x: Array) -> Conditioned:
    """The last value of a file with the radius that the records of its operators give it, in float32.

    IEEE 754 asks for an exact sum, difference or product where the result is a number of the type.
    """
    found: dict[str, Any] = {"input_0": Conditioned.exact(torch.from_numpy(x))}
    for tensor in proto.graph.initializer:
        constant = torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
        found[tensor.name] = Conditioned.exact(constant, FLOAT32.representation(constant))
    for node in proto.graph.node:
        arguments = [found[name] for name in node.input]
        result = PRIMITIVES[_NAMES[node.op_type]].conditioned(FLOAT32, *arguments)
        if node.op_type in ("Add", "Sub", "Mul") and all(bool((each.radius == 0).all()) for each in arguments):
            kept = result.value.float().double() == result.value
            result.radius[kept] = 0.0
        found[node.output[0]] = result
    last: Conditioned = found[proto.graph.output[0].name]
    return last


def _across(low: float, high: float, count: int) -> Array:
    found = np.geomspace(low, high, count)
    both = np.clip(np.concatenate([found, -found]).astype(np.float32), -np.float32(high), np.float32(high))
    return np.asarray(both)


@pytest.mark.parametrize(("name", "span"), [(name, span) for name, spans in SPANS.items() for span in spans])
def test_an_allowance_follows_from_those_of_the_operators(name: str, span: tuple[float, float]) -> None:
    x = _across(*span, 4000).astype(np.float64)  # so that constants are not rounded yet
    proto, _ = _model(EMITTERS[name], [x], 20)
    result = _analysed(proto, x)
    off = (result.radius - 4 * FLOAT32.tiny) / (SINGLE * result.value.abs())
    assert 0.0 < float(off.max()) <= ALLOWED[name]


def _everywhere(count: int) -> Array:
    """Numbers of every size and both signs, subnormal ones and the largest among them, and more where exp is finite."""
    rng = np.random.default_rng(0)
    largest = int(np.float32(np.finfo(np.float32).max).view(np.uint32))
    bits = np.concatenate([rng.integers(0, largest + 1, count), np.arange(1000), [largest]])
    found = np.concatenate([bits.astype(np.uint32).view(np.float32), rng.uniform(0, 90, count).astype(np.float32)])
    return np.concatenate([found, -found])


def _in_onnxruntime(proto: onnx.ModelProto, arrays: Sequence[Array]) -> Array:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input_0": arrays[0]})[0])


def _in_tract(proto: onnx.ModelProto, arrays: Sequence[Array]) -> Array:
    pytest.importorskip("tract")
    session = runtimes.get("tract").load(nn.Identity(), proto.SerializeToString(), RunOptions())
    return np.asarray(session.run(list(arrays))[0])


@pytest.mark.parametrize("run", [_in_onnxruntime, _in_reference, _in_openvino, _in_tract])
@pytest.mark.parametrize(("name", "function"), [("sinh", np.sinh), ("asinh", np.arcsinh)])
def test_runtimes_stay_within_the_allowance(name: str, function: Any, run: Callable[..., Array]) -> None:
    """Also just below 89.416, where sinh(x) is finite and exp(x) is not."""
    x = _everywhere(150_000)
    proto, _ = _model(EMITTERS[name], [x[:2]], 20)
    found = run(proto, [x]).astype(np.float64)
    with np.errstate(over="ignore"):
        wanted = function(x.astype(np.float64))
    finite = np.abs(wanted) < float(np.finfo(np.float32).max) * (1 - ALLOWED[name] * SINGLE)
    found, wanted = found[finite], wanted[finite]
    assert np.isfinite(found).all()
    flushed = np.abs(wanted) < 2 * FLOAT32.tiny
    assert (np.abs(found - wanted) <= ALLOWED[name] * SINGLE * np.abs(wanted) + flushed * FLOAT32.tiny).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sinh", "asinh"])
def test_the_ends_of_what_is_written_out(name: str, dtype: type) -> None:
    ends: Array = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 2.0**-149, -(2.0**-149), 2.0, 0.75, -0.75, -2.0], dtype)
    wanted = {"sinh": np.sinh, "asinh": np.arcsinh}[name](ends.astype(np.float64))
    np.testing.assert_allclose(_run(EMITTERS[name], [ends]), wanted, rtol=4 * float(np.finfo(dtype).eps), atol=0)
