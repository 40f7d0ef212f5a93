"""Small changes to an ONNX model: constants, nodes before and after others, and the parts of a NALU cell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.faults.planted import AnyArray


def constant(proto: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """The initializer of that name."""
    found: onnx.TensorProto = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    return found


def change(proto: onnx.ModelProto, name: str, function: Callable[[AnyArray], AnyArray]) -> None:
    """Replace a constant by what ``function`` makes of it, in the type that it has."""
    tensor = constant(proto, name)
    value = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(function(value.copy())).astype(value.dtype), name))


def literal(proto: onnx.ModelProto, value: Any, dtype: type[np.generic] = np.float32) -> str:
    """A new constant; its name."""
    name = f"fault {len(proto.graph.initializer)}"
    proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
    return name


def node(
    proto: onnx.ModelProto,
    op_type: str,
    inputs: Sequence[str],
    *,
    before: onnx.NodeProto | None = None,
    output: str | None = None,
    **attributes: Any,
) -> str:
    """A new node in front of another one or, by default, at the end; the name of its output."""
    nodes = list(proto.graph.node)
    name = output or f"fault {op_type} {len(nodes)}"
    made = helper.make_node(op_type, list(inputs), [name], f"fault node {len(nodes)}", **attributes)
    if before is None:
        proto.graph.node.append(made)
    else:
        proto.graph.node.insert(nodes.index(before), made)
    return name


def producer(proto: onnx.ModelProto, value: str) -> onnx.NodeProto:
    """The node that a value comes from."""
    found: onnx.NodeProto = next(one for one in proto.graph.node if value in one.output)
    return found


def following(proto: onnx.ModelProto, target: onnx.NodeProto) -> onnx.NodeProto | None:
    """The node after another one, ``None`` after the last."""
    nodes = list(proto.graph.node)
    index = nodes.index(target) + 1
    return nodes[index] if index < len(nodes) else None


def detach(target: onnx.NodeProto) -> tuple[str, str]:
    """Give a node's output another name, so that something can stand between it and its readers: (new, old)."""
    old = target.output[0]
    target.output[0] = f"{old} from {target.name}"
    return target.output[0], old


def append(proto: onnx.ModelProto, op_type: str, *operands: Any, **attributes: Any) -> None:
    """One more operation on the output, with constant operands."""
    new, old = detach(producer(proto, proto.graph.output[0].name))
    node(proto, op_type, [new, *(literal(proto, operand) for operand in operands)], output=old, **attributes)


def through(proto: onnx.ModelProto, target: onnx.NodeProto, to: int, back: int = onnx.TensorProto.FLOAT) -> None:
    """Let a node read and give values that have gone through another type."""
    target.input[0] = cast(proto, target, target.input[0], to, back)
    new, old = detach(target)
    after = following(proto, target)
    narrow = node(proto, "Cast", [new], before=after, to=to)
    node(proto, "Cast", [narrow], before=after, output=old, to=back)


def cast(proto: onnx.ModelProto, before: onnx.NodeProto, value: str, to: int, back: int) -> str:
    """A value, there and back through another type."""
    return node(proto, "Cast", [node(proto, "Cast", [value], before=before, to=to)], before=before, to=back)


def resize(proto: onnx.ModelProto, features: int) -> None:
    """Declare another number of outputs: what is left to find is the fault and not an invalid file."""
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = features


@dataclass(frozen=True)
class Cell:
    """The nodes of one NALU cell, ``output = sum/(1 + exp(−z)) + product/(1 + exp(z))``.

    Attributes:
        output: the Add of both paths.
        sum_gate: the quotient of the sum path.
        product_gate: the quotient of the product path.
        sum: the Gemm of the sum path.
        product: the Exp of the product path.
        power: the Gemm of the product path.
        log: the Log of the product path.
        shifted: the Add of ε.
        magnitude: the Abs.
        gate: the Gemm of z.
    """

    output: onnx.NodeProto
    sum_gate: onnx.NodeProto
    product_gate: onnx.NodeProto
    sum: onnx.NodeProto
    product: onnx.NodeProto
    power: onnx.NodeProto
    log: onnx.NodeProto
    shifted: onnx.NodeProto
    magnitude: onnx.NodeProto
    gate: onnx.NodeProto


def cells(proto: onnx.ModelProto) -> list[Cell]:
    """The cells of a file of ours, in order."""
    makers = {output: one for one in proto.graph.node for output in one.output}
    found = []
    for add in proto.graph.node:
        gates = [makers[name] for name in add.input if name in makers]
        if add.op_type != "Add" or [one.op_type for one in gates] != ["Div", "Div"]:
            continue
        sum_gate, product_gate = gates
        product = makers[product_gate.input[0]]
        power = makers[product.input[0]]
        log = makers[power.input[0]]
        shifted = makers[log.input[0]]
        gate = makers[makers[makers[product_gate.input[1]].input[0]].input[0]]
        found.append(
            Cell(
                output=add,
                sum_gate=sum_gate,
                product_gate=product_gate,
                sum=makers[sum_gate.input[0]],
                product=product,
                power=power,
                log=log,
                shifted=shifted,
                magnitude=makers[shifted.input[0]],
                gate=gate,
            )
        )
    return found
