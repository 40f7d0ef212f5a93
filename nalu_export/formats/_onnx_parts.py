"""An arithmetic subgraph of an ONNX file as a file of its own."""

import copy

import onnx
from onnx import helper

from nalu_export.graph import Subgraph


def cut_out(proto: onnx.ModelProto, subgraph: Subgraph, call: int) -> bytes | None:
    """The nodes between the values ``path.x`` and ``path.y``; without one of them, from the input, up to the output.

    Nothing is added and nothing is optimised: these are the nodes and the weights of the file, without the path before
    their names.

    Args:
        proto: the file.
        subgraph: of one input and one output.
        call: which call of it, from 0.

    Returns:
        A file, ``None`` where the result depends on anything else.
    """
    graph, path = proto.graph, subgraph.called(call)

    def short(name: str) -> str:
        return name.removeprefix(f"{path}.") if name.startswith(f"{path}.") else name.removeprefix(subgraph.namespace)

    producers = {name: node for node in graph.node for name in node.output}
    start = f"{path}.x" if f"{path}.x" in producers else graph.input[0].name
    end = f"{path}.y" if f"{path}.y" in producers else graph.output[0].name
    if f"{path}.x" not in producers and f"{path}.y" not in producers:
        return None
    weights = {tensor.name: tensor for tensor in graph.initializer}
    needed, open_names = set[str](), [end]
    while open_names:
        name = open_names.pop()
        if name in needed or name in weights or name == start:
            continue
        if name not in producers:
            return None
        needed.add(name)
        open_names += [given for given in producers[name].input if given]
    nodes = [copy.deepcopy(node) for node in graph.node if needed & set(node.output)]
    used = {name for node in nodes for name in node.input}
    tensors = [copy.deepcopy(tensor) for name, tensor in weights.items() if name in used]
    for tensor in tensors:
        tensor.name = short(tensor.name)
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [short(name) for name in names]
    # Axes of any size, because that is how it will be run; OpenVINO refuses an input of unknown rank.
    shapes = (subgraph.input_shapes[0], subgraph.output_shapes[0])
    ends = [
        helper.make_tensor_value_info(short(name), onnx.TensorProto.FLOAT, ["batch", *[None] * (len(shape) - 1)])
        for name, shape in zip((start, end), shapes, strict=True)
    ]
    part = helper.make_graph(nodes, path, ends[:1], ends[1:], tensors)
    model = helper.make_model(part, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
