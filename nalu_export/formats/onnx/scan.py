"""A loop with an arithmetic step as one ONNX Scan. It runs one step per entry of the scanned inputs' first axis."""

from collections.abc import Sequence
from dataclasses import replace

import onnx
from onnx import helper
from torch import fx

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.edges import name_results
from nalu_export.formats.onnx.primitives import lower

# Last part of the node's name, after the path of the subgraph.
NODE = "scan"


def scan(form: fx.GraphModule, inputs: Sequence[Value], build: Builder, carried: int, scanned: int) -> list[Value]:
    """Emit a Scan over the first axis.

    Args:
        form: inference form of one step. It takes the carried values, one entry of each scanned input, and the inputs
            that are the same in each step. It returns the new carried values and the results.
        inputs: inputs of the loop: the carried values before the first step, the scanned inputs, and the inputs that
            are the same in each step, which the body reads from the outer graph. Ranks are those of one step.
        build: collects the node and the constants.
        carried: number of values that one step hands to the next.
        scanned: number of inputs that are read one entry per step.
    """
    step = build.inner()
    own = inputs[: carried + scanned]
    entries = [replace(value, name=step.free(f"step.x_{place}")) for place, value in enumerate(own)]
    results = lower(form, [*entries, *inputs[carried + scanned :]], step)
    names = [step.free(f"step.y_{place}") for place in range(len(results))]
    name_results(step, results, names)
    body = helper.make_graph(step.nodes, step.free("step"), _infos(entries), _infos(results, names))
    outputs = [replace(y, rank=y.rank + (place >= carried)) for place, y in enumerate(results)]
    return build.node("Scan", own, outputs, NODE, body=body, num_scan_inputs=scanned)


def _infos(values: Sequence[Value], names: Sequence[str] = ()) -> list[onnx.ValueInfoProto]:
    """Declare values with their types and ranks, without sizes."""
    types = [helper.np_dtype_to_tensor_dtype(value.dtype) for value in values]
    shapes = [[None] * value.rank for value in values]
    found = names or [value.name for value in values]
    return [helper.make_tensor_value_info(*each) for each in zip(found, types, shapes, strict=True)]
