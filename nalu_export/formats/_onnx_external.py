"""Finds tensors whose bytes an ONNX file keeps in another file, wherever they stand in it."""

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto


def external_tensor(proto: ModelProto) -> str | None:
    """Name of the first tensor that is kept in another file, ``None`` where the file holds all of them."""
    for tensor in _tensors(proto):
        # A location counts as well: a runtime that looks at it first would read it.
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            return tensor.name or "a tensor"
    return None


def _tensors(proto: ModelProto) -> Iterator[TensorProto]:
    yield from _of_graph(proto.graph)
    for function in proto.functions:
        yield from _of_nodes(function.node)
        yield from _of_attributes(function.attribute_proto)
    for training in proto.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)


def _of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: "Iterator[NodeProto] | list[NodeProto]") -> Iterator[TensorProto]:
    for node in nodes:
        yield from _of_attributes(node.attribute)


def _of_attributes(attributes: "Iterator[AttributeProto] | list[AttributeProto]") -> Iterator[TensorProto]:
    # Fields of every kind, whatever the attribute says it is. protobuf nests no deeper than 100.
    for attribute in attributes:
        yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _of_graph(graph)
