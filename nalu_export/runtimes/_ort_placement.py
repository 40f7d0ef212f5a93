"""Which nodes of a file ONNX Runtime runs on another provider than the requested one, and what they compute.

The CUDA provider leaves nodes on the CPU that only compute shapes, because their results are needed there
(onnxruntime/core/framework/fallback_cpu_capability.cc). Every other node on the CPU is a fallback.
"""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

from nalu_export.runtimes._onnx_values import types_of

#: Session entry (onnxruntime 1.24): the session records which provider runs each node, including nodes of subgraphs.
RECORD = "session.record_ep_graph_assignment_info"

_INTEGERS = (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
_SHAPES = ("Shape", "Size")
# The inputs of these operators do not determine their results, which differ each time.
_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")
# These operators change no number of a constant.
_MOVES = (
    *("Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Gather", "Identity"),
    *("Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"),
)
# How many nodes a message names.
_NAMED = 4


class Placed(NamedTuple):
    """A node as ONNX Runtime names it when it assigns nodes to providers."""

    operator: str
    name: str

    def __str__(self) -> str:
        return f"{self.operator} {self.name}".strip()


def elsewhere(session: Any, provider: str) -> list[Placed]:
    """Return the nodes that run on another provider; the session was made with :data:`RECORD`."""
    groups = session.get_provider_graph_assignment_info()
    return [
        Placed(node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}", node.name)
        for group in groups
        if group.ep_name != provider
        for node in group.get_nodes()
    ]


def computing(data: bytes, nodes: Iterable[Placed]) -> dict[Placed, str]:
    """Return the given nodes that compute more than shapes, with the element type of their results.

    A node computes shapes if it is Shape or Size. It also computes shapes if all its inputs are constant or computed
    from shapes alone, and its results are integers or truth values, or constants that fill a shape. A node that is not
    in the file, because an optimizer made it, counts as computing values.
    """
    proto = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
    found: dict[Placed, list[tuple[bool, str]]] = {}
    for node, is_shape, kind in _judged(proto.graph, ChainMap(), ChainMap()):
        found.setdefault(Placed(node.op_type, node.name), []).append((is_shape, kind))
    wrong: dict[Placed, str] = {}
    for placed in nodes:
        judged = found.get(placed, [(placed.operator in _SHAPES, "")])
        bad = [kind for is_shape, kind in judged if not is_shape]
        if bad:
            wrong[placed] = bad[0]
    return wrong


def listed(nodes: Iterable[Placed], kinds: Mapping[Placed, str] | None = None) -> str:
    """Return the first few nodes as text: ``Shape node_Shape_0, Det (float) d``."""
    kinds = kinds or {}
    texts = [f"{node.operator} ({kinds[node]}) {node.name}".strip() if kinds.get(node) else str(node) for node in nodes]
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def folded(data: bytes, session: Any) -> bool:
    """Return whether numbers were computed while the file was loaded: nodes that depend only on initializers are gone.

    ONNX Runtime folds constants before it assigns nodes to providers, and always with its CPU kernels. So the effective
    weights of a live file are computed on the CPU, whichever provider runs the rest.
    """
    graph = onnx.load_from_string(data).graph
    run = {node.name for group in session.get_provider_graph_assignment_info() for node in group.get_nodes()}
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.input and all(name in known for name in node.input if name):
            known.update(node.output)
            if node.op_type not in _MOVES and node.name and node.name not in run:
                return True
    return False


def _judged(
    graph: GraphProto, outer_types: ChainMap[str, int], outer: ChainMap[str, None]
) -> Iterator[tuple[NodeProto, bool, str]]:
    """Yield each node, whether it computes shapes only, and the element type of its first result.

    Names from outside a body are looked up and not copied, because a file may have thousands of bodies.
    """
    types = outer_types.new_child(types_of(graph))
    known = outer.new_child({tensor.name: None for tensor in graph.initializer})
    for node in graph.node:
        bodies = [attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]
        kinds = [types.get(name, TensorProto.UNDEFINED) for name in node.output if name]
        is_shape = node.op_type in _SHAPES or (
            not bodies
            and node.op_type not in _RANDOM
            and all(name in known for name in node.input if name)
            and (all(kind in _INTEGERS for kind in kinds) or (node.op_type in _MOVES and node.op_type != "Cast"))
        )
        if is_shape or (not node.input and not bodies and node.op_type == "Constant"):
            known.update(dict.fromkeys(name for name in node.output if name))
        yield node, is_shape, TensorProto.DataType.Name(kinds[0]).lower() if kinds and kinds[0] else ""
        for body in bodies:
            # A Loop's iteration number depends on its trip count only.
            counter = {body.input[0].name: None} if node.op_type == "Loop" and body.input else {}
            yield from _judged(body, types, known.new_child(counter))
