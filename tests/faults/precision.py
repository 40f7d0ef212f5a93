"""Faults of the number format: fewer bits than the file promises."""

import numpy as np
import onnx

from tests.faults.edit import cast, cells, change, literal, node, through
from tests.faults.fault import in_file, in_runtime
from tests.faults.planted import AnyArray, Run

W = "layers.0.W"
FLOAT16, FLOAT32, DOUBLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
# float32 has 23 bits of mantissa.
BFLOAT16, TF32 = 7, 10


def rounded(value: AnyArray, bits: int) -> AnyArray:
    """float32 with its mantissa rounded to ``bits`` bits, half to even; NaN and infinities as they are."""
    shift = 23 - bits
    raw = np.ascontiguousarray(value, np.float32).view(np.uint32).astype(np.uint64)
    half = np.uint64((1 << (shift - 1)) - 1)
    odd = (raw >> np.uint64(shift)) & np.uint64(1)
    kept = (raw + half + odd) >> np.uint64(shift) << np.uint64(shift)
    result = kept.astype(np.uint32).view(np.float32)
    return np.where(np.isfinite(value), result, value)


@in_file("cell")
def float16_weights(proto: onnx.ModelProto) -> None:
    """Weights that were stored in float16 to save space."""
    change(proto, W, lambda value: value.astype(np.float16))


@in_file("cell")
def bfloat16_weights(proto: onnx.ModelProto) -> None:
    """A checkpoint saved in bfloat16 on its way."""
    change(proto, W, lambda value: rounded(value, BFLOAT16))


@in_file("cell")
def int8_weights(proto: onnx.ModelProto) -> None:
    """Weights quantised to 8 bits, symmetric, one scale for the tensor."""
    change(proto, W, lambda value: np.round(value / np.abs(value).max() * 127) * np.abs(value).max() / 127)


@in_file("cell")
def float16_gate_weights(proto: onnx.ModelProto) -> None:
    """Float16 for the gate alone, which "only" weighs."""
    change(proto, "layers.0.G", lambda value: value.astype(np.float16))


@in_file("cell")
def float16_around_exp(proto: onnx.ModelProto) -> None:
    """Mixed precision that computes the exponential of the product path in float16."""
    (cell,) = cells(proto)
    through(proto, cell.product, FLOAT16)


@in_file("cell")
def float16_around_log(proto: onnx.ModelProto) -> None:
    """Mixed precision that computes the logarithm in float16, where ε = 1e-10 is 0."""
    (cell,) = cells(proto)
    through(proto, cell.log, FLOAT16)


@in_file("cell")
def float16_result_of_log(proto: onnx.ModelProto) -> None:
    """A logarithm kept in float16 between two kernels: in range, but with three digits."""
    (cell,) = cells(proto)
    cell.power.input[0] = cast(proto, cell.power, cell.power.input[0], FLOAT16, FLOAT32)


@in_file("cell")
def float16_inputs(proto: onnx.ModelProto) -> None:
    """A server that takes its inputs as float16: infinite past 65504."""
    first = proto.graph.node[0]
    narrow = cast(proto, first, "input", FLOAT16, FLOAT32)
    for one in list(proto.graph.node)[2:]:
        one.input[:] = [narrow if name == "input" else name for name in one.input]


@in_file("cell")
def bfloat16_result_of_log(proto: onnx.ModelProto) -> None:
    """The same under automatic mixed precision in bfloat16."""
    (cell,) = cells(proto)
    cell.power.input[0] = _split(proto, cell.power, cell.power.input[0], 23 - BFLOAT16)


@in_file("float64")
def float32_product_in_a_float64_file(proto: onnx.ModelProto) -> None:
    """A runtime without float64 matrix products that computes the one under exp in float32 instead."""
    (cell,) = cells(proto)
    for index in (0, 1):
        cell.power.input[index] = cast(proto, cell.power, cell.power.input[index], FLOAT32, DOUBLE)
    cell.product.input[0] = cast(proto, cell.product, cell.product.input[0], FLOAT32, DOUBLE)


@in_file("float64")
def float32_weights_in_a_float64_file(proto: onnx.ModelProto) -> None:
    """Effective weights rounded to float32 before a float64 evaluation."""
    change(proto, W, lambda value: value.astype(np.float32))


@in_file("cell")
def tf32_weights(proto: onnx.ModelProto) -> None:
    """The weight side of a TF32 matrix product: 10 bits of mantissa."""
    for name in (W, "layers.0.G"):
        change(proto, name, lambda value: rounded(value, TF32))


@in_runtime("nac")
def tf32_inputs(run: Run) -> Run:
    """The input side of a TF32 matrix product."""
    return lambda x: run(rounded(x, TF32).astype(np.float32))


@in_file("cell")
def tf32_products(proto: onnx.ModelProto) -> None:
    """Both sides of every matrix product in TF32, as onnxruntime's CUDA provider has it by default."""
    for one in [one for one in proto.graph.node if one.op_type == "Gemm"]:
        for index in (0, 1):
            one.input[index] = _split(proto, one, one.input[index], 23 - TF32)


def _split(proto: onnx.ModelProto, before: onnx.NodeProto, value: str, bits: int) -> str:
    """``value`` without its last bits, by Veltkamp's splitting: ``c − (c − v)`` with ``c = (2^bits + 1)·v``."""
    scaled = node(proto, "Mul", [value, literal(proto, 2.0**bits + 1)], before=before)
    rest = node(proto, "Sub", [scaled, value], before=before)
    return node(proto, "Sub", [scaled, rest], before=before)
