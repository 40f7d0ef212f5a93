"""ONNX: the arithmetic parts lowered from their traced graphs, the rest through ``torch.onnx.export``."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import torch
from torch import nn

from nalu_export.errors import InputError
from nalu_export.formats.base import Draft, EmitOptions, Format, TensorSpec
from nalu_export.formats._onnx_builder import Builder
from nalu_export.formats._onnx_primitives import lower
from nalu_export.formats._onnx_surroundings import AXES, DOMAIN, export_surroundings
from nalu_export.graph import well_conditioned
from nalu_export.graph.parts import arithmetic_parts
from nalu_export.weights import inference_form

OPSETS = range(17, 25)


@dataclass(frozen=True)
class OnnxDraft(Draft):
    """An ONNX model in memory."""

    model: ir.Model

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Serialised, with ``metadata`` as metadata_props, and passed by ``onnx.checker`` with ``full_check``."""
        self.model.metadata_props.clear()
        self.model.metadata_props.update({key: metadata[key] for key in sorted(metadata)})
        proto = ir.serde.serialize_model(self.model)
        data: bytes = proto.SerializeToString(deterministic=True)
        onnx.checker.check_model(data, full_check=True)
        return data


class OnnxFormat(Format):
    """ONNX opset 17 to 24, one file, standard operators only."""

    name = "onnx"
    suffix = ".onnx"
    runtime = "onnxruntime-cpu"

    def emit(self, model: nn.Module, options: EmitOptions) -> Draft:
        """See :meth:`Format.emit`; ``options.opset`` is honoured exactly or refused."""
        if options.opset not in OPSETS:
            raise InputError(f"opset is {options.opset}; allowed: {OPSETS.start} to {OPSETS.stop - 1}")
        parts = arithmetic_parts(model)
        example = torch.zeros(2, *options.sample_shape)
        if "" in parts:
            ir_model = _arithmetic_model(parts[""], example, options)
        else:
            ir_model = export_surroundings(model, parts, example, options.opset, free_size=options.free_size)
            _lower_leaves(ir_model, list(parts.items()), options)
        _name_axes(ir_model.graph)
        _strip(ir_model)
        return OnnxDraft(
            tuple(map(_spec, ir_model.graph.inputs)), tuple(map(_spec, ir_model.graph.outputs)), ir_model
        )

    def recognises(self, data: bytes) -> bool:
        """An ONNX file starts with its ir_version (field 1, a varint) and parses as a ModelProto with a graph."""
        if not data.startswith(b"\x08"):
            return False
        try:
            return bool(_parse(data).graph.output)
        except InputError:
            return False

    def read_metadata(self, data: bytes) -> dict[str, str]:
        """The metadata_props."""
        return {entry.key: entry.value for entry in _parse(data).metadata_props}

    def read_weights(self, data: bytes) -> dict[str, object]:
        """The initializers."""
        return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in _parse(data).graph.initializer}


FORMAT = OnnxFormat()


def _parse(data: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_from_string(data)
    except Exception as error:
        # protobuf's DecodeError is a different class in each of its implementations.
        raise InputError("not an ONNX file, or a damaged one") from error


def _arithmetic_model(part: nn.Module, example: torch.Tensor, options: EmitOptions) -> ir.Model:
    x = ir.Value(name="input", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(example.shape))
    build = Builder("", options.opset)
    y = lower(well_conditioned(inference_form(part, options.weights, options.compute)), x, build)
    y.name = "output"
    with torch.no_grad():
        y.shape = ir.Shape(part(example).shape)
    graph = ir.Graph(
        [x],
        [y],
        nodes=build.nodes,
        initializers=list(build.initializers.values()),
        opset_imports={"": options.opset},
        name="nalu_export",
    )
    return ir.Model(graph, ir_version=10)


def _lower_leaves(model: ir.Model, parts: list[tuple[str, nn.Module]], options: EmitOptions) -> None:
    """Replace every opaque leaf by its lowered graph."""
    graph = model.graph
    for node in list(graph):
        if node.domain != DOMAIN:
            continue
        path, part = parts[node.attributes["index"].as_int()]
        (x,), (y,) = node.inputs, node.outputs
        assert x is not None
        build = Builder(f"{path}.", options.opset)
        result = lower(well_conditioned(inference_form(part, options.weights, options.compute)), x, build)
        for name, value in build.initializers.items():
            # A part that is called twice has its weights in the file once.
            if name in graph.initializers:
                ir.convenience.replace_all_uses_with(value, graph.initializers[name])
            else:
                graph.initializers.add(value)
        result.shape, result.name = y.shape, y.name
        graph.insert_before(node, build.nodes)
        ir.convenience.replace_all_uses_with(y, result, replace_graph_outputs=True)
        graph.remove(node, safe=True)
    model.opset_imports.pop(DOMAIN, None)


def _name_axes(graph: ir.Graph) -> None:
    """``batch``, ``height`` and ``width`` for the free axes that torch calls s77 and the like."""
    (x,), (y,) = graph.inputs, graph.outputs
    assert x.shape is not None
    assert y.shape is not None
    names = {str(size): AXES[axis] for axis, size in enumerate(x.shape) if not isinstance(size, int)}
    x.shape = ir.Shape([AXES[axis] if not isinstance(size, int) else size for axis, size in enumerate(x.shape)])
    y.shape = ir.Shape([names.get(str(size), size) for size in y.shape])
    x.shape[0] = y.shape[0] = "batch"


def _strip(model: ir.Model) -> None:
    """Remove what torch.onnx writes for debugging: stack traces with local paths, intermediate shapes, its name."""
    model.producer_name, model.producer_version, model.doc_string = "nalu_export", None, None
    model.ir_version = onnx.helper.find_min_ir_version_for(
        [onnx.helper.make_opsetid("", model.opset_imports[""])], ignore_unknown=False
    )
    graph = model.graph
    graph.name, graph.doc_string = "nalu_export", None
    graph.metadata_props.clear()
    edges = {*graph.inputs, *graph.outputs}
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()
        value.doc_string = None
    for node in graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            if value not in edges:
                value.shape, value.type = None, None


def _spec(value: ir.Value) -> TensorSpec:
    assert value.name is not None
    assert value.shape is not None
    assert value.dtype is not None
    shape = tuple(size if isinstance(size, int) else str(size.value) for size in value.shape)
    return TensorSpec(value.name, np.dtype(value.dtype.numpy()).name, shape)
