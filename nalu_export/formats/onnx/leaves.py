"""The nodes that stand for arithmetic subgraphs while torch.onnx exports what surrounds them, and their lowering."""

from collections.abc import Sequence

import onnx
from onnx import helper

from nalu_export.formats.base import EmitOptions
from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.edges import file_dtype, name_results, rename
from nalu_export.formats.onnx.primitives import lower
from nalu_export.formats.onnx.scan import scan
from nalu_export.graph import Subgraph, well_conditioned
from nalu_export.graph.folding import inference_form
from nalu_export.graph.naming import entry, numbered

# Domain of these nodes.
LEAVES = "nalu_export"


def lower_leaves(proto: onnx.ModelProto, subgraphs: Sequence[Subgraph], options: EmitOptions, opset: int) -> None:
    """Replace every opaque leaf by its lowered graph."""
    lowering = _Lowering(proto.graph, subgraphs, options, opset)
    for node in proto.graph.node:
        if node.domain == LEAVES:
            lowering.lower(node)
        else:
            lowering.nodes.append(node)
    lowering.finish()
    del proto.graph.node[:], proto.graph.initializer[:]
    proto.graph.node.extend(lowering.nodes)
    proto.graph.initializer.extend(lowering.initializers.values())


class _Lowering:
    """Puts a graph together again.

    What enters a subgraph is called ``head.x``, ``head.x_2``, and what leaves it ``head.y``: so it can be looked at,
    and cut out. One value cannot have two names. What leaves another subgraph or enters one, and what has a name for
    good, passes through an Identity, which runtimes remove.

    Attributes:
        nodes: of the new graph.
        initializers: its constants by name.
    """

    def __init__(self, graph: onnx.GraphProto, subgraphs: Sequence[Subgraph], options: EmitOptions, opset: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._subgraphs, self._options, self._opset = subgraphs, options, opset
        self._calls: dict[int, int] = {}
        # Values that have a name at the edge of a subgraph already, and those that keep the one that they have.
        self._edges: dict[str, str] = {}
        self._fixed = {value.name for value in (*graph.input, *graph.output)} | self.initializers.keys()
        # The only input of a file, and its only output, need no other name.
        self._only = {value[0].name for value in (graph.input, graph.output) if len(value) == 1}

    def lower(self, leaf: onnx.NodeProto) -> None:
        """The nodes of one call of a subgraph."""
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in leaf.attribute}
        index = attributes["index"]
        subgraph, options = self._subgraphs[index], self._options
        name = subgraph.called(self._calls.setdefault(index, 0))
        self._calls[index] += 1
        build = Builder(f"{name}.", self._opset, subgraph.parameter, self.initializers)
        form = well_conditioned(inference_form(subgraph.module, options.weights, options.compute))
        given = [self._entering(value, f"{name}.{entry(place)}") for place, value in enumerate(leaf.input)]
        pairs = zip(given, subgraph.inputs, strict=True)
        values = [Value(new, file_dtype(spec.dtype), len(spec.shape)) for new, spec in pairs]
        if subgraph.loop:
            results = scan(form, values, build, attributes["carried"], attributes["scanned"])
        else:
            results = lower(form, values, build)
        ends = [self._leaving(output, f"{name}.{numbered('y', place)}") for place, output in enumerate(leaf.output)]
        name_results(build, results, ends)
        self.initializers |= build.initializers
        self.nodes += build.nodes
        for end, output in zip(ends, leaf.output, strict=True):
            if end != output:
                self.nodes.append(helper.make_node("Identity", [end], [output], f"{output}_node"))

    def finish(self) -> None:
        """Give values at edges their names."""
        for old, new in self._edges.items():
            rename(self.nodes, old, new)

    def _entering(self, value: str, name: str) -> str:
        """What a value is called where a subgraph reads it."""
        if value in self._only:
            return value
        if value not in self._edges and value not in self._fixed:
            self._edges[value] = name
            return value
        self.nodes.append(helper.make_node("Identity", [value], [name], f"{name}_node"))
        return name

    def _leaving(self, value: str, name: str) -> str:
        """What a value is called where a subgraph gives it."""
        if value in self._only or value not in self._fixed:
            if value not in self._fixed:
                self._edges[value] = name
            return value
        return name
