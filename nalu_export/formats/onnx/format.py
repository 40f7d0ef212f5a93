"""ONNX: the arithmetic parts lowered from their traced graphs, the rest through ``torch.onnx.export``."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from nalu_export.errors import InputError
from nalu_export.formats.base import Draft, EmitOptions, Format, TensorSpec
from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.edges import name_axes, name_results, value_info
from nalu_export.formats.onnx.external import external_tensor
from nalu_export.formats.onnx.leaves import lower_leaves
from nalu_export.formats.onnx.options import OnnxOptions
from nalu_export.formats.onnx.parts import cut_out
from nalu_export.formats.onnx.primitives import lower
from nalu_export.formats.onnx.softmax import write_out_log_softmax
from nalu_export.formats.onnx.wire import WireError, refuse_large
from nalu_export.graph import ModelGraph, Subgraph, well_conditioned
from nalu_export.graph.folding import inference_form
from nalu_export.io.text import plain

# protobuf's limit, less what nodes and metadata need.
LARGEST_FILE = 2**31 - 2**24


@dataclass(frozen=True)
class OnnxDraft(Draft):
    """An ONNX model in memory."""

    proto: onnx.ModelProto

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Serialised, with ``metadata`` as metadata_props, and passed by ``onnx.checker`` with ``full_check``.

        Raises:
            InputError: the weights are larger than one file may be.
        """
        if sum(len(tensor.raw_data) for tensor in self.proto.graph.initializer) >= LARGEST_FILE:
            raise InputError("the model has 2 GiB of weights or more, which one ONNX file cannot hold")
        del self.proto.metadata_props[:]
        helper.set_model_props(self.proto, {key: metadata[key] for key in sorted(metadata)})
        data: bytes = self.proto.SerializeToString(deterministic=True)
        onnx.checker.check_model(data, full_check=True)
        return data


class OnnxFormat(Format[OnnxOptions]):
    """ONNX opset 17 to 24, one file, standard operators only."""

    name = "onnx"
    options = OnnxOptions
    runtime = "onnxruntime-cpu"

    def emit(self, graph: ModelGraph, options: EmitOptions, own: OnnxOptions | None = None) -> Draft:
        """See :meth:`Format.emit`; the opset is honoured exactly or refused."""
        opset = (own or OnnxOptions()).opset
        if graph.whole is not None:
            proto = _arithmetic_model(graph, graph.whole, options, opset)
        else:
            # torch.onnx takes seconds to import, and a head alone does not need it.
            from nalu_export.formats.onnx.surroundings import export_surroundings

            proto = export_surroundings(graph, opset)
            lower_leaves(proto, list(graph.subgraphs.values()), options, opset)
            write_out_log_softmax(proto, opset)
            _write_out_zeros(proto.graph)
            _strip(proto)
        name_axes(proto.graph, graph.interface)
        return OnnxDraft(tuple(map(_spec, proto.graph.input)), tuple(map(_spec, proto.graph.output)), proto)

    def opened(self, data: bytes) -> onnx.ModelProto | None:
        """An ONNX file starts with its ir_version (field 1, a varint) and parses as a ModelProto with a graph.

        Raises:
            InputError: protobuf would take more memory for it than a file of its size may take, see
                :func:`nalu_export.formats.onnx.wire.refuse_large`; or a tensor is in another file, which a runtime
                would read.
        """
        if not data.startswith(b"\x08"):
            return None
        try:
            found = refuse_large(data)
        except WireError:
            return None
        try:
            proto = onnx.load_from_string(data)
        except Exception:  # noqa: BLE001
            # protobuf's DecodeError is a different class in each of its implementations.
            return None
        if not proto.graph.output:
            return None
        outside = external_tensor(proto) if found.outside else None
        if outside is not None:
            raise InputError(_outside(outside))
        return proto

    def part(self, content: onnx.ModelProto, subgraph: Subgraph, call: int) -> bytes | None:
        """See :meth:`Format.part`: the nodes between ``head.x`` and ``head.y``, or the input or output of the file."""
        return cut_out(content, subgraph, call)

    def read_metadata(self, content: onnx.ModelProto) -> dict[str, str]:
        """The metadata_props."""
        return {entry.key: entry.value for entry in content.metadata_props}

    def signature(self, content: onnx.ModelProto) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See :meth:`Format.signature`; initializers that are listed as inputs are none."""
        graph = content.graph
        weights = {tensor.name for tensor in graph.initializer}
        given = (value for value in graph.input if value.name not in weights)
        return tuple(map(_spec, given)), tuple(map(_spec, graph.output))

    def read_weights(self, content: onnx.ModelProto, *, trust: bool) -> dict[str, NDArray[np.generic]]:
        """The initializers; an ONNX file holds no code."""
        del trust
        return {tensor.name: _array(tensor) for tensor in content.graph.initializer}


FORMAT = OnnxFormat()


def _outside(name: str) -> str:
    return (
        f"keeps {plain(name)} in another file; only self-contained files are read, so save it with its weights inside"
    )


def _array(tensor: onnx.TensorProto) -> NDArray[np.generic]:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:  # to_array would read it
        raise InputError(_outside(tensor.name))
    try:
        if min(tensor.dims, default=0) < 0:
            raise ValueError("numpy takes -1 for whatever fits")
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"holds a damaged tensor {plain(tensor.name)}") from error


def _arithmetic_model(graph: ModelGraph, whole: Subgraph, options: EmitOptions, opset: int) -> onnx.ModelProto:
    ports = graph.interface
    taken = [port.name for port in (*ports.inputs, *ports.outputs)]
    build = Builder("", opset, reserved=taken)
    form = well_conditioned(inference_form(whole.module, options.weights, options.compute))
    given = [Value(p.name, np.dtype(p.type_name), len(p.shape)) for p in ports.inputs]
    name_results(build, lower(form, given, build), [port.name for port in ports.outputs])
    proto = helper.make_graph(
        build.nodes,
        "nalu_export",
        [value_info(port) for port in ports.inputs],
        [value_info(port) for port in ports.outputs],
        list(build.initializers.values()),
    )
    operators = helper.make_opsetid("", opset)
    return helper.make_model(
        proto,
        producer_name="nalu_export",
        opset_imports=[operators],
        ir_version=helper.find_min_ir_version_for([operators]),
    )


def _write_out_zeros(graph: onnx.GraphProto) -> None:
    """A tensor of zeros says that they are float32, which is the default; tract 0.23 takes them for float64."""
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and not node.attribute:
            zero = helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [0.0])
            node.attribute.append(helper.make_attribute("value", zero))


def _strip(proto: onnx.ModelProto) -> None:
    """Remove what torch.onnx writes for debugging: stack traces with local paths, intermediate shapes, its name."""
    opsets = [opset for opset in proto.opset_import if opset.domain == ""]
    del proto.opset_import[:], proto.functions[:], proto.graph.value_info[:], proto.graph.metadata_props[:]
    proto.opset_import.extend(opsets)
    proto.ir_version = helper.find_min_ir_version_for(opsets)
    proto.producer_name, proto.graph.name = "nalu_export", "nalu_export"
    for field in ("producer_version", "doc_string", "domain"):
        proto.ClearField(field)
    proto.graph.ClearField("doc_string")
    for item in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer, *proto.graph.node):
        item.ClearField("doc_string")
        del item.metadata_props[:]


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    kind, tensor = value.type.WhichOneof("value"), value.type.tensor_type
    if kind not in (None, "tensor_type"):
        return TensorSpec(value.name, kind.removesuffix("_type").replace("_", " "), ())
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except KeyError:
        dtype = "unknown"
    return TensorSpec(value.name, dtype, tuple(size.dim_param or size.dim_value for size in tensor.shape.dim))
