"""An arithmetic subgraph of an ONNX file as a file of its own.

``onnx.utils.Extractor`` infers the shapes of the whole file first. It does not say either whether a result depends on
anything but the inputs that it was given; here that means that the file is not what the model is.
"""

import copy
from collections.abc import Callable, Mapping, Sequence

import onnx
from onnx import helper

from nalu_export.formats.onnx.edges import file_dtype
from nalu_export.formats.onnx.scan import NODE
from nalu_export.graph import Subgraph
from nalu_export.graph.naming import entry, numbered
from nalu_export.graph.subgraphs import Spec


def cut_out(proto: onnx.ModelProto, subgraph: Subgraph, call: int) -> bytes | None:
    """Return the nodes between the values ``path.x`` and ``path.y`` as a file.

    Without ``path.x`` the nodes start at the input of the file, without ``path.y`` they end at its output. Nothing is
    added and nothing is optimised: these are the nodes and weights of the file. Only the path is removed from their
    names.

    Args:
        proto: the file.
        subgraph: an arithmetic subgraph of the exported model.
        call: which call of it, from 0.

    Returns:
        A file; ``None`` if the subgraph is not found or its result depends on other values.
    """
    graph, path = proto.graph, subgraph.called(call)

    def short(name: str) -> str:
        return name.removeprefix(f"{path}.") if name.startswith(f"{path}.") else name.removeprefix(subgraph.namespace)

    if subgraph.loop:
        return _step(proto, path, short)
    producers = {name: node for node in graph.node for name in node.output}
    starts = [f"{path}.{entry(place)}" for place in range(len(subgraph.inputs))]
    ends = [f"{path}.{numbered('y', place)}" for place in range(len(subgraph.outputs))]
    if not {*starts, *ends} & producers.keys():
        return None
    # The one input of a subgraph may be the input of the file, and its one output the output of the file.
    if len(starts) == 1 and starts[0] not in producers:
        starts = [graph.input[0].name]
    if len(ends) == 1 and ends[0] not in producers:
        ends = [graph.output[0].name]
    nodes = _between(graph, producers, starts, ends)
    if nodes is None:
        return None
    return _file(proto, nodes, short, _infos(starts, subgraph.inputs, short), _infos(ends, subgraph.outputs, short))


def _step(proto: onnx.ModelProto, path: str, short: Callable[[str], str]) -> bytes | None:
    """Return the body of a loop; ``None`` if there is no such loop or it reads an outer value that is not a weight."""
    loop = next((node for node in proto.graph.node if node.name == f"{path}.{NODE}"), None)
    if loop is None:
        return None
    body = copy.deepcopy(next(attribute.g for attribute in loop.attribute if attribute.name == "body"))
    made = {name for node in body.node for name in node.output} | {value.name for value in body.input}
    weights = {tensor.name for tensor in proto.graph.initializer}
    if any(name not in made | weights for node in body.node for name in node.input if name):
        return None
    for value in (*body.input, *body.output):
        value.name = short(value.name)
    return _file(proto, list(body.node), short, list(body.input), list(body.output))


def _file(
    proto: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    short: Callable[[str], str],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
) -> bytes:
    """Return a file of some nodes and the weights that they read."""
    used = {name for node in nodes for name in node.input}
    tensors = [copy.deepcopy(tensor) for tensor in proto.graph.initializer if tensor.name in used]
    for tensor in tensors:
        tensor.name = short(tensor.name)
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [short(name) for name in names]
    part = helper.make_graph(nodes, "part", inputs, outputs, tensors)
    model = helper.make_model(part, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _between(
    graph: onnx.GraphProto, producers: Mapping[str, onnx.NodeProto], starts: Sequence[str], ends: Sequence[str]
) -> list[onnx.NodeProto] | None:
    """Copy the nodes that compute ``ends`` from ``starts``; ``None`` if ``ends`` depend on other values."""
    weights = {tensor.name for tensor in graph.initializer}
    needed, open_names = set[str](), list(ends)
    while open_names:
        name = open_names.pop()
        if name in needed or name in weights or name in starts:
            continue
        if name not in producers:
            return None
        needed.add(name)
        open_names += [given for given in producers[name].input if given]
    return [copy.deepcopy(node) for node in graph.node if needed & set(node.output)]


def _infos(names: Sequence[str], specs: Sequence[Spec], short: Callable[[str], str]) -> list[onnx.ValueInfoProto]:
    """Declare inputs or outputs: OpenVINO refuses an input of unknown rank, tract one with several unknown sizes."""
    return [
        helper.make_tensor_value_info(
            short(name),
            helper.np_dtype_to_tensor_dtype(file_dtype(spec.dtype)),
            ["batch", *(spec.shape[1:] if len(spec.shape) > 2 else [None] * (len(spec.shape) - 1))],
        )
        for name, spec in zip(names, specs, strict=True)
    ]
