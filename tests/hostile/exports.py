"""Good exports of a small NAC, and ways to change an ONNX file."""

import functools
from collections.abc import Callable

import onnx
import torch
from onnx import TensorProto

from nalu_export import NAC, export
from nalu_export.formats import FormatName


@functools.cache
def exported(kind: FormatName, *, live: bool = False) -> bytes:
    """A good export of a NAC, 2 → 1."""
    torch.manual_seed(0)
    return export(NAC(2, 1), format=kind, weights="live" if live else "folded", check=False).data


def edited(edit: Callable[[onnx.ModelProto], object], *, live: bool = False) -> bytes:
    """The ONNX file after a change."""
    proto = onnx.load_from_string(exported("onnx", live=live))
    edit(proto)
    return proto.SerializeToString()  # type: ignore[no-any-return]


def external(tensor: TensorProto, location: str) -> None:
    """Make a tensor one whose bytes are in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=value)


def odd(tensor: TensorProto) -> TensorProto:
    """Damage a tensor, and give it a name that a terminal would obey."""
    tensor.name = "\n\x1b[2J" + 100 * "x"
    tensor.dims.append(7)
    return tensor
