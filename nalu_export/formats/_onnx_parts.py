"""An arithmetic part of an ONNX file as a file of its own."""

import copy

import onnx
from onnx import helper


def cut_out(proto: onnx.ModelProto, path: str) -> bytes | None:
    """The nodes between the values ``path.x`` and ``path.y``; without a value ``path.y``, up to the output.

    Nothing is added and nothing is optimised: these are the nodes and the weights of the file, without the path before
    their names. ``None`` where there is no ``path.x``, or where the result depends on anything else.
    """
    graph = proto.graph
    producers = {name: node for node in graph.node for name in node.output}
    start = f"{path}.x"
    end = f"{path}.y" if f"{path}.y" in producers else graph.output[0].name
    if start not in producers:
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
        tensor.name = tensor.name.removeprefix(f"{path}.")
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [name.removeprefix(f"{path}.") for name in names]
    # Two axes of any size, because that is how it will be run; OpenVINO refuses an input of unknown rank.
    ends = [
        helper.make_tensor_value_info(name.removeprefix(f"{path}."), onnx.TensorProto.FLOAT, ["batch", None])
        for name in (start, end)
    ]
    part = helper.make_graph(nodes, path, ends[:1], ends[1:], tensors)
    model = helper.make_model(part, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
