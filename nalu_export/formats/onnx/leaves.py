"""Lowers placeholder nodes: each stands for an arithmetic subgraph while torch.onnx exports the rest of the model."""

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

# Domain of the placeholder nodes.
LEAVES = "nalu_export"


def lower_leaves(proto: onnx.ModelProto, subgraphs: Sequence[Subgraph], options: EmitOptions, opset: int) -> None:
    """Replace every placeholder node by the nodes of its arithmetic subgraph, in place."""
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
    """Builds the new list of nodes, with lowered subgraphs in place of placeholder nodes.

    The inputs of a subgraph are named ``head.x``, ``head.x_2`` and its outputs ``head.y``, ``head.y_2``. By these names
    a check finds the values and cuts the subgraph out of the file. A value has one name. A value that already has such
    a name, or whose name must not change, passes through an Identity, which runtimes remove.

    Attributes:
        nodes: nodes of the new graph.
        initializers: its constants by name.
    """

    def __init__(self, graph: onnx.GraphProto, subgraphs: Sequence[Subgraph], options: EmitOptions, opset: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._subgraphs, self._options, self._opset = subgraphs, options, opset
        self._calls: dict[int, int] = {}
        # New names of the values that enter or leave a subgraph, and the values whose name must not change.
        self._edges: dict[str, str] = {}
        self._fixed = {value.name for value in (*graph.input, *graph.output)} | self.initializers.keys()
        # The input of a file with one input, and the output of a file with one output, need no second name.
        self._only = {value[0].name for value in (graph.input, graph.output) if len(value) == 1}

    def lower(self, leaf: onnx.NodeProto) -> None:
        """Add the nodes of one call of a subgraph."""
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
        rename(self.nodes, self._edges)

    def _entering(self, value: str, name: str) -> str:
        """Return the name by which a subgraph reads a value."""
        if value in self._only:
            return value
        if value not in self._edges and value not in self._fixed:
            self._edges[value] = name
            return value
        self.nodes.append(helper.make_node("Identity", [value], [name], f"{name}_node"))
        return name

    def _leaving(self, value: str, name: str) -> str:
        """Return the name under which a subgraph gives a value."""
        if value in self._only or value not in self._fixed:
            if value not in self._fixed:
                self._edges[value] = name
            return value
        return name
