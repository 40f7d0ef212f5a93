"""Exports the host model (everything around the arithmetic subgraphs) through ``torch.onnx.export``.

A placeholder node stands for each arithmetic subgraph.
"""

from collections.abc import Sequence
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, fx, nn

from nalu_export.errors import InputError, first_line, option
from nalu_export.formats._surroundings import host_type, replace_module, surroundings
from nalu_export.formats.onnx.edges import value_info
from nalu_export.formats.onnx.leaves import LEAVES
from nalu_export.graph import Interface, ModelGraph, Subgraph
from nalu_export.graph.evaluation import constant, result_nodes
from nalu_export.graph.example import narrowed
from nalu_export.graph.exported import quiet
from nalu_export.graph.loops import Loop
from nalu_export.graph.module import written
from nalu_export.process.locks import TRACING


class _OpaqueLeaf(nn.Module):
    """Placeholder for an arithmetic subgraph: one node that no optimizer knows, so that none can delete its ε.

    The exporter's rewrite rules match constants with an absolute tolerance of 1e-8. They take ``|x| + 1e-10`` for
    ``|x| + 0`` and drop the Add.
    """

    def __init__(self, index: int, subgraph: Subgraph) -> None:
        super().__init__()
        self._index = index
        self._input, self._outputs = subgraph.inputs[0].shape, [spec.shape for spec in subgraph.outputs]
        self._dtypes = [host_type(spec.dtype) for spec in subgraph.outputs]
        # Whether the outputs have the shape of the only input except for the last axis. If not, forward runs the
        # subgraph to get their shapes.
        self._like_input = len(subgraph.inputs) == 1 and all(
            shape[:-1] == self._input[:-1] and len(shape) > 1 for shape in self._outputs
        )
        self._module = None if self._like_input else subgraph.module

    def forward(self, *inputs: Tensor) -> Any:
        x = inputs[0]
        if self._module is None:
            shapes = [[*x.shape[:-1], shape[-1]] for shape in self._outputs]
        else:
            results = self._module(*inputs)
            shapes = [list(result.shape) for result in (results if isinstance(results, tuple) else (results,))]
        name, attributes = f"{LEAVES}::Leaf", dict[str, Any](index=self._index)
        if len(shapes) == 1:
            return torch.onnx.ops.symbolic(name, inputs, attributes, dtype=self._dtypes[0], shape=shapes[0])
        return torch.onnx.ops.symbolic_multi_out(name, inputs, attributes, dtypes=self._dtypes, shapes=shapes)


class _OpaqueLoop(nn.Module):
    """Placeholder for a loop; it runs the first step to get the shapes."""

    def __init__(self, index: int, loop: Loop) -> None:
        super().__init__()
        self._index, self._loop = index, loop

    def forward(self, *inputs: Tensor) -> Any:
        state, given, rest = self._loop.parts(inputs)
        found = self._loop.body(*state, *(x[0] for x in given), *rest)
        found = found if isinstance(found, tuple) else (found,)
        carried = self._loop.carried
        shapes = [list(y.shape) for y in found[:carried]]
        shapes += [[given[0].shape[0], *y.shape] for y in found[carried:]]
        attributes = dict[str, Any](index=self._index, carried=carried, scanned=self._loop.scanned)
        dtypes = [y.dtype for y in found]
        return torch.onnx.ops.symbolic_multi_out(f"{LEAVES}::Loop", inputs, attributes, dtypes=dtypes, shapes=shapes)


def export_surroundings(graph: ModelGraph, opset: int) -> onnx.ModelProto:
    """Export the host model with one placeholder node for each call of a subgraph.

    The node is ``nalu_export::Leaf``, or ``nalu_export::Loop`` for a loop. Its attribute ``index`` is the place of the
    subgraph in ``graph.subgraphs``.

    Raises:
        InputError: torch cannot export the model, or not with this opset.
    """
    outer, ports = surroundings(graph), graph.interface
    given = result_nodes(outer.graph)
    # Export each computed result once: torch gives a value one name. _add_others adds the other results.
    kept = [node for node in dict.fromkeys(given) if node.op.startswith("call_")]
    outer.graph.output_node().args = (tuple(kept),)
    written(outer)
    for index, subgraph in enumerate(graph.subgraphs.values()):
        module = outer.get_submodule(subgraph.place)
        leaf = _OpaqueLoop(index, module) if isinstance(module, Loop) else _OpaqueLeaf(index, subgraph)
        replace_module(outer, subgraph.place, leaf)
    # AUTO: an axis whose size the model depends on (a Linear on a flattened map) is exported as fixed. The export does
    # not fail.
    free = tuple({0: torch.export.Dim.DYNAMIC} | dict.fromkeys(p.free, torch.export.Dim.AUTO) for p in ports.inputs)
    try:
        with TRACING, quiet():
            program = torch.onnx.export(
                outer,
                tuple(narrowed(graph.example)),
                dynamo=True,
                opset_version=opset,
                external_data=False,
                verbose=False,
                input_names=[port.name for port in ports.inputs],
                output_names=[ports.outputs[given.index(node)].name for node in kept],
                dynamic_shapes=free,
            )
    except Exception as error:
        # The exporter has a dozen stages and raises what they raise. All these errors mean the same to the user.
        raise InputError(f"torch.onnx cannot export the layers around the arithmetic: {_cause(error)}") from error
    assert program is not None
    proto = program.model_proto
    emitted = next(opset.version for opset in proto.opset_import if opset.domain == "")
    if emitted != opset:
        # The exporter reports a failed opset conversion only in its log, and keeps its own opset.
        instead = f"use {option('opset', emitted)} or 20"
        raise InputError(f"opset {opset} was asked for, but torch.onnx gave {emitted}; {instead}")
    _add_others(proto, outer, given, ports)
    return proto


def _add_others(proto: onnx.ModelProto, outer: fx.GraphModule, given: Sequence[fx.Node], ports: Interface) -> None:
    """Add the outputs that are inputs, constants or other outputs, each through an Identity."""
    made = {value.name: value for value in proto.graph.output}
    inputs = [node for node in outer.graph.nodes if node.op == "placeholder"]
    for node, port in zip(given, ports.outputs, strict=True):
        if port.name in made:
            continue
        if node in inputs:
            source = ports.inputs[inputs.index(node)].name
        elif node.op == "get_attr":
            source = f"{port.name}:value"
            tensor = constant(outer, str(node.target)).detach().numpy()
            proto.graph.initializer.append(numpy_helper.from_array(tensor, source))
        else:
            source = ports.outputs[given.index(node)].name
        proto.graph.node.append(helper.make_node("Identity", [source], [port.name], f"{port.name}_node"))
        made[port.name] = value_info(port)
    del proto.graph.output[:]
    proto.graph.output.extend(made[port.name] for port in ports.outputs)


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
