"""Which kernels ONNX Runtime 1.31.1 has of an operator on the CPU and on CUDA, at the opsets that we write.

A row: operator, opsets, types on the CPU, types on CUDA. ``T``, ``T1``, … are the constraints that the kernels name;
other types than those five are left out. ``none``: there is no kernel. ``same``: as on the CPU.

Source: what the wheels onnxruntime 1.31.1 and onnxruntime-gpu 1.31.1 register, as ``get_all_opkernel_def`` lists it:
docs/OperatorKernels.md of github.com/microsoft/onnxruntime is made from that too. A kernel counts at an opset where
``KernelRegistry`` of core/framework/kernel_registry.cc takes it: it is registered for the version of the operator's
schema, or for a range that holds it. ``test_onnx_kernels.py`` holds the rows against the wheels.
"""

import re
from collections.abc import Iterator

import onnx
from onnx import TensorProto

NAMES = {
    TensorProto.FLOAT: "f32",
    TensorProto.DOUBLE: "f64",
    TensorProto.INT32: "i32",
    TensorProto.INT64: "i64",
    TensorProto.BOOL: "bool",
}

# What nalu_export writes itself.
OURS = """
Abs                    17-24 | T=f32+f64+i32+i64 | same
Add                    17-24 | T=f32+f64+i32+i64 | same
And                    17-24 | T=bool T1=bool | same
Cast                   17-24 | T1=f32+f64+i32+i64+bool T2=f32+f64+i32+i64+bool | same
Ceil                   17-24 | T=f32+f64 | same
Concat                 17-24 | T=f32+f64+i32+i64+bool | same
Cos                    17-24 | T=f32+f64 | same
Div                    17-24 | T=f32+f64+i32+i64 | same
Equal                  17-24 | T=f32+f64+i32+i64+bool T1=bool | same
Exp                    17-24 | T=f32+f64 | same
Expand                 17-24 | T=f32+f64+i32+i64+bool | same
Flatten                17-24 | T=f32+f64+i32+i64+bool | same
Floor                  17-24 | T=f32+f64 | same
Gather                 17-24 | T=f32+f64+i32+i64+bool Tind=i32+i64 | same
Gemm                   17-24 | T=f32+f64 | same
Greater                17-24 | T=f32+f64+i32+i64 T1=bool | same
GreaterOrEqual         17-24 | T=f32+f64+i32+i64 T1=bool | same
Identity               17-24 | V=f32+f64+i32+i64+bool | same
Less                   17-24 | T=f32+f64+i32+i64 T1=bool | same
LessOrEqual            17-24 | T=f32+f64+i32+i64 T1=bool | same
Log                    17-24 | T=f32+f64 | same
MatMul                 17-24 | T=f32+f64+i32+i64 | T=f32+f64
Max                    17-24 | T=f32+f64+i32+i64 | same
Min                    17-24 | T=f32+f64+i32+i64 | same
Mul                    17-24 | T=f32+f64+i32+i64 | same
Neg                    17-24 | T=f32+f64+i32+i64 | same
Not                    17-24 | T=bool | same
Or                     17-24 | T=bool T1=bool | same
Pow                    17-24 | T=f32+f64+i32+i64 T1=f32+f64+i32+i64 | same
ReduceMax              17-19 | T=f32+f64+i32+i64 | same
ReduceMax              20-24 | T=f32+f64+i32+i64+bool | T=f32+f64+i32+i64
ReduceMean             17-24 | T=f32+f64+i32+i64 | T=f32+f64+i32
ReduceMin              17-19 | T=f32+f64+i32+i64 | same
ReduceMin              20-24 | T=f32+f64+i32+i64+bool | T=f32+f64+i32+i64
ReduceProd             17-24 | T=f32+f64+i32+i64 | T=f32+f64+i32
ReduceSum              17-24 | T=f32+f64+i32+i64 | same
Reshape                17-24 | T=f32+f64+i32+i64+bool | same
Round                  17-24 | T=f32+f64 | same
Scan                   17-24 | V=f32+f64+i32+i64+bool | same
Sin                    17-24 | T=f32+f64 | same
Slice                  17-24 | T=f32+f64+i32+i64+bool Tind=i32+i64 | same
Sqrt                   17-24 | T=f32+f64 | same
Squeeze                17-24 | T=f32+f64+i32+i64+bool | same
Sub                    17-24 | T=f32+f64+i32+i64 | same
Tanh                   17-24 | T=f32+f64 | same
Transpose              17-24 | T=f32+f64+i32+i64+bool | same
Unsqueeze              17-24 | T=f32+f64+i32+i64+bool | same
Where                  17-24 | T=f32+f64+i32+i64 | B=bool T=f32+f64+i32+i64
"""

# What torch.onnx.export writes around it, and what is missing. MaxPool, Elu and InstanceNormalization have no kernel on
# CUDA from opset 22 on; Mish, Swish and GroupNormalization are written out by ONNX Runtime itself.
OTHERS = """
ArgMax                 17-24 | T=f32+f64+i32+i64 | T=f32+f64
Asinh                  17-24 | T=f32 | none
AveragePool            17-24 | T=f32 | T=f32+f64
BatchNormalization     17-24 | T=f32+f64 T1=f32+f64 T2=f32+f64 | same
Clip                   17-24 | T=f32+f64+i32+i64 | T=f32+f64+i64
ConstantOfShape        17-24 | T1=i64 T2=f32+f64+i32+i64+bool | same
Conv                   17-24 | T=f32 | T=f32+f64
ConvTranspose          17-24 | T=f32 | T=f32+f64
CumSum                 17-24 | T=f32+f64+i32+i64 T2=i32+i64 | same
Det                    17-24 | T=f32 | none
Einsum                 17-24 | T=f32+f64+i32+i64 | T=f32+f64
Elu                    17-21 | T=f32 | T=f32+f64
Elu                    22-24 | T=f32 | none
Erf                    17-24 | T=f32 | T=f32+f64
GRU                    17-24 | T=f32+f64 T1=i32 | same
GatherElements         17-24 | T=f32+f64+i32+i64+bool Tind=i32+i64 | same
Gelu                   20-24 | T=f32 | T=f32+f64
GlobalAveragePool      17-24 | T=f32 | T=f32+f64
GlobalMaxPool          17-24 | T=f32 | T=f32+f64
GroupNormalization     18-24 | none | same
HardSwish              17-24 | none | T=f32+f64
If                     17-24 | B=bool V=f32+f64+i32+i64+bool | same
InstanceNormalization  17-21 | T=f32 | T=f32+f64
InstanceNormalization  22-24 | T=f32 | none
IsInf                  17-24 | T1=f32+f64 T2=bool | same
IsNaN                  17-24 | T1=f32+f64 T2=bool | same
LSTM                   17-24 | T=f32+f64 T1=i32 | same
LayerNormalization     17-24 | T=f32+f64 U=f32 | same
LeakyRelu              17-24 | T=f32 | T=f32+f64
Loop                   17-24 | B=bool I=i64 V=f32+f64+i32+i64+bool | same
MaxPool                17-21 | I=i64 T=f32+f64 | same
MaxPool                22-24 | I=i64 T=f32+f64 | none
Mish                   18-24 | none | same
Mod                    17-24 | T=f32+f64+i32+i64 | same
PRelu                  17-24 | T=f32 | T=f32+f64
Pad                    17-24 | T=f32+f64+i32+i64+bool | T=f32+f64+bool
RNN                    17-24 | T=f32 T1=i32 | T=f32+f64 T1=i32
Range                  17-24 | T=f32+f64+i32+i64 | same
Relu                   17-24 | T=f32+f64+i32 | T=f32+f64
Resize                 17-24 | T1=f32+i32 | T1=f32+f64+i32
ScatterND              17-24 | T=f32+f64+i32+i64+bool | same
Shape                  17-24 | T=f32+f64+i32+i64+bool T1=i64 | same
Sigmoid                17-24 | T=f32+f64 | same
Sign                   17-24 | T=f32+f64+i32+i64 | same
Sinh                   17-24 | T=f32 | none
Softmax                17-24 | T=f32+f64 | same
Softplus               17-24 | T=f32 | T=f32+f64
Split                  17-24 | T=f32+f64+i32+i64+bool | same
Swish                  24-24 | none | same
Tile                   17-24 | T=f32+f64+i32+i64+bool T1=i64 | T=f32+f64+i32+i64 T1=i64
TopK                   17-24 | I=i64 T=f32+f64+i32+i64 | same
Trilu                  17-24 | T=f32+f64+i32+i64+bool | same
"""

Types = dict[str, set[str]]


def rows(provider: str, text: str = OURS + OTHERS) -> Iterator[tuple[str, range, Types | None]]:
    """Operator, opsets and the types of each constraint; ``None`` where the provider has no kernel."""
    for line in filter(None, text.splitlines()):
        about, *columns = (part.strip() for part in line.split("|"))
        name, first, last = re.split(r"[\s-]+", about)
        said = columns[0] if provider == "cpu" or columns[1] == "same" else columns[1]
        yield name, range(int(first), int(last) + 1), None if said == "none" else _types(said)


def _types(said: str) -> Types:
    parts = (entry.split("=") for entry in said.split())
    return {constraint: set(kinds.split("+")) for constraint, kinds in parts}


def kernel(provider: str, operator: str, opset: int) -> Types | None:
    """The types that a provider takes."""
    found = (types for name, opsets, types in rows(provider) if name == operator and opset in opsets)
    return next(found, None)


def lacking(proto: onnx.ModelProto, provider: str) -> set[str]:
    """What a file has that the provider has no kernel of, as ``Sinh of f32 at opset 20``."""
    opset = next(entry.version for entry in proto.opset_import if not entry.domain)
    typed = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    return set(_lacking(typed.graph, provider, opset, {}))


def _lacking(graph: onnx.GraphProto, provider: str, opset: int, outer: dict[str, int]) -> Iterator[str]:
    kinds = outer | {tensor.name: tensor.data_type for tensor in graph.initializer}
    kinds |= {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}
    for node in graph.node:
        types = kernel(provider, node.op_type, opset)
        for constraint, name in _constrained(node, opset):
            kind = NAMES.get(kinds[name], str(kinds[name]))
            if types is None or kind not in types.get(constraint, {kind}):
                yield f"{node.op_type} of {kind} at opset {opset}"
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _lacking(attribute.g, provider, opset, kinds)


def _constrained(node: onnx.NodeProto, opset: int) -> Iterator[tuple[str, str]]:
    """The constraint that each input and output is under, by the operator's schema; the last one may be repeated."""
    schema = onnx.defs.get_schema(node.op_type, opset)
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for place, name in enumerate(names):
            if name:
                yield formal[min(place, len(formal) - 1)].type_str, name
