"""Names, types and free axes of the inputs and outputs of an ONNX file."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.graph import Interface, Port


def name_results(build: Builder, results: Sequence[Value], names: Sequence[str]) -> None:
    """Give the results of a lowered graph their names.

    A value has one name. A result that is an input, a constant or another result therefore passes through an Identity.
    """
    made = {name for node in build.nodes for name in node.output}
    named: dict[str, str] = {}
    for result, name in zip(results, names, strict=True):
        if result.name in made and result.name not in named:
            named[result.name] = name
        else:
            source = named.get(result.name, result.name)
            build.nodes.append(helper.make_node("Identity", [source], [name], f"{name}_node"))
    rename(build.nodes, named)


def file_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """Return the type of a value in the file, where floats are float32."""
    return np.dtype(np.float32 if dtype.is_floating_point else str(dtype).removeprefix("torch."))


def value_info(port: Port) -> onnx.ValueInfoProto:
    """Return the declaration of an input or output."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(port.type_name))
    return helper.make_tensor_value_info(port.name, kind, port.shape)


def rename(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> None:
    """Give values other names, by the old ones, wherever they are made or read."""
    for node in nodes:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]


def name_axes(graph: onnx.GraphProto, interface: Interface) -> None:
    """Give free axes the names that the model has for them; torch calls them ``s77`` and the like."""
    names: dict[str, str] = {}
    for value, port in zip(graph.input, interface.inputs, strict=True):
        _name_axes(value, port, names)
    for value, port in zip(graph.output, interface.outputs, strict=True):
        _name_axes(value, port, names)


def _name_axes(value: onnx.ValueInfoProto, port: Port, names: dict[str, str]) -> None:
    sizes = value.type.tensor_type.shape.dim
    for axis, size in enumerate(sizes):
        wanted = port.shape[axis] if axis < len(port.shape) else None
        if axis == 0 and port.batched:
            size.dim_param = str(wanted)
        elif size.dim_param:
            # An axis that torch leaves free and the model has no name for keeps the name that torch gave it.
            size.dim_param = names.setdefault(size.dim_param, wanted if isinstance(wanted, str) else size.dim_param)
