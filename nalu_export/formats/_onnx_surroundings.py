"""What surrounds the arithmetic layers, through ``torch.onnx.export``, with the layers as opaque nodes."""

from typing import Any

import onnx
import torch
from torch import Tensor, nn

from nalu_export.errors import InputError, first_line
from nalu_export.formats._surroundings import replace_module, surroundings
from nalu_export.formats.onnx import LEAVES
from nalu_export.graph import ModelGraph, Subgraph
from nalu_export.graph.exclusive import TRACING
from nalu_export.graph.exported import quiet


class _OpaqueLeaf(nn.Module):
    """Stands where an arithmetic subgraph was: one node that no optimizer knows, so ε cannot be deleted from it.

    The exporter's rewrite rules match constants with an absolute tolerance of 1e-8, take ``|x| + 1e-10`` for
    ``|x| + 0`` and drop the Add.
    """

    def __init__(self, index: int, subgraph: Subgraph) -> None:
        super().__init__()
        self._index = index
        (self._input, *_), self._outputs = subgraph.input_shapes, subgraph.output_shapes
        # Where shapes are not those of the input but for the last axis, the graph itself tells them.
        self._like_input = all(shape[:-1] == self._input[:-1] and len(shape) > 1 for shape in self._outputs)
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
            return torch.onnx.ops.symbolic(name, inputs, attributes, dtype=x.dtype, shape=shapes[0])
        dtypes = [x.dtype] * len(shapes)
        return torch.onnx.ops.symbolic_multi_out(name, inputs, attributes, dtypes=dtypes, shapes=shapes)


def export_surroundings(graph: ModelGraph, opset: int, *, free_size: bool) -> onnx.ModelProto:
    """The model with one ``nalu_export::Leaf`` node, attribute ``index``, for each subgraph in order.

    Raises:
        InputError: torch cannot export the model, or not with this opset.
    """
    outer, example = surroundings(graph), graph.example.float()
    for index, (name, subgraph) in enumerate(graph.subgraphs.items()):
        replace_module(outer, name, _OpaqueLeaf(index, subgraph))
    free = {0: torch.export.Dim.DYNAMIC}
    if free_size and example.ndim == 4:
        # AUTO: an axis on which the model depends (a Linear on a flattened map) comes out fixed instead of failing.
        free |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    try:
        with TRACING, quiet():
            program = torch.onnx.export(
                outer,
                (example,),
                dynamo=True,
                opset_version=opset,
                external_data=False,
                verbose=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=(free,),
            )
    except Exception as error:
        # The exporter raises whatever its dozen stages raise; every one of them means the same to the user.
        raise InputError(f"torch.onnx cannot export what surrounds the arithmetic: {_cause(error)}") from error
    assert program is not None
    proto = program.model_proto
    emitted = next(opset.version for opset in proto.opset_import if opset.domain == "")
    if emitted != opset:
        # The exporter reports a failed conversion in a log line only and keeps its own opset.
        raise InputError(f"opset {opset} was asked for, torch.onnx gave {emitted}; use --opset {emitted} or 20")
    return proto


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
