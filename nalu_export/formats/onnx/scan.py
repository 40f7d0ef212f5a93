"""A loop whose step is arithmetic as one ONNX Scan: as many steps as what it is given has entries."""

from collections.abc import Sequence
from dataclasses import replace

import onnx
from onnx import helper
from torch import fx

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.edges import name_results
from nalu_export.formats.onnx.primitives import lower

# Of the node, after the path of the subgraph.
NODE = "scan"


def scan(form: fx.GraphModule, inputs: Sequence[Value], build: Builder, carried: int, scanned: int) -> list[Value]:
    """Emit a Scan over the first axis.

    Args:
        form: of one step: takes the carried values, one entry of each scanned one, and the rest; gives the new carried
            values and the results.
        inputs: of the loop: the carried values before the first step, what is scanned, and what is the same in every
            step, which the body reads where it is. Ranks are those of one step.
        build: collects the node and the constants.
        carried: how many values are carried.
        scanned: how many are scanned.
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
    """Types and numbers of axes, with no size."""
    types = [helper.np_dtype_to_tensor_dtype(value.dtype) for value in values]
    shapes = [[None] * value.rank for value in values]
    found = names or [value.name for value in values]
    return [helper.make_tensor_value_info(*each) for each in zip(found, types, shapes, strict=True)]
