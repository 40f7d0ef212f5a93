"""Faults of the file itself."""

import numpy as np
import onnx

from tests.faults.edit import change
from tests.faults.fault import Files, in_bytes, in_file
from tests.faults.planted import AnyArray

BESIDE = "weights.data"


@in_bytes("cell")
def external_data_left_behind(data: bytes) -> Files:
    """Weights in a second file, which was not copied along."""
    rest, _ = moved(data)
    return rest, {}


@in_bytes("cell")
def external_data_cut_short(data: bytes) -> Files:
    """A second file whose download ended early."""
    rest, weights = moved(data)
    return rest, {BESIDE: weights[: len(weights) // 2]}


@in_bytes("cell")
def file_cut_short(data: bytes) -> Files:
    """A download that ended early."""
    return data[: len(data) * 2 // 3], {}


@in_bytes("script")
def archive_cut_short(data: bytes) -> Files:
    """The same for a TorchScript archive."""
    return data[: len(data) * 2 // 3], {}


@in_file("cell")
def weights_all_zero(proto: onnx.ModelProto) -> None:
    """A sparse file: its size is right, its blocks were never written."""
    for name in ("layers.0.W", "layers.0.G"):
        change(proto, name, np.zeros_like)


@in_file("cell")
def weights_of_the_other_byte_order(proto: onnx.ModelProto) -> None:
    """Raw data written by a big-endian machine without swapping."""
    change(proto, "layers.0.W", lambda value: value.byteswap())


@in_file("cell")
def one_bit_flipped(proto: onnx.ModelProto) -> None:
    """Memory without error correction: the lowest bit of one exponent."""

    def flip(value: AnyArray) -> AnyArray:
        value.view(np.uint32).flat[0] ^= np.uint32(1 << 23)
        return value

    change(proto, "layers.0.W", flip)


def moved(data: bytes) -> tuple[bytes, bytes]:
    """The file without its larger tensors, and the one that holds them."""
    proto = onnx.load_from_string(data)
    weights = b""
    for tensor in proto.graph.initializer:
        if not tensor.dims:
            continue
        raw = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", BESIDE), ("offset", len(weights)), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))
        weights += raw
    return proto.SerializeToString(), weights
