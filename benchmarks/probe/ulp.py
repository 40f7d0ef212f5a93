"""How accurate the device's elementary functions are, over floats of every exponent, against a wider type."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from benchmarks.cuda_setup import brief
from benchmarks.probe.context import Context
from benchmarks.probe.errors import Errors, errors, wider
from benchmarks.probe.operators import OPERATORS, Array, Operator
from benchmarks.report import Section, figure
from nalu_export import NAC, runtimes
from nalu_export.runtimes.base import RunOptions

ONNX_TYPES = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}
# Operands of every exponent, and floats on each side of a number that is looked at closely.
COUNT = {(False, np.float32): 2**22, (False, np.float64): 2**17, (True, np.float32): 2**12, (True, np.float64): 2**10}
CLOSE = {False: 4096, True: 64}
HEADER = (
    "operator",
    "type",
    "kernel of",
    "tried",
    "largest error, ulp",
    "in roundoffs",
    "allowed",
    "verdict",
    "at",
    "subnormal operands",
    "subnormal values",
    "NaN or ∞ wrong",
)


def measure(context: Context) -> Iterator[Section]:
    """One table for each type."""
    for kind in (np.float32, np.float64):
        yield table(context, kind)


def table(context: Context, kind: type[np.floating]) -> Section:
    """Every operator, in ONNX Runtime and in torch."""
    rows, wanted = [], np.dtype(kind)
    if np.finfo(wider(wanted)).nmant <= np.finfo(wanted).nmant:
        context.skip(f"ulp: {wanted} kernels", "numpy has no wider type here")
        return Section(f"Elementary functions, {wanted}", "Not run.", HEADER, ())
    with_onnx = bool(context.running(context.setup.onnx[0]))
    for operator in OPERATORS:
        if kind is np.float64 and not operator.wide:
            continue
        if context.late:
            context.skip(f"ulp: {operator.name}, {wanted} and what comes after it")
            break
        context.progress(f"ulp: {operator.name}, {wanted}")
        operands = grid(operator, kind, quick=context.quick)
        kernels = {"onnxruntime": _in_onnxruntime(context, operator, kind)} if with_onnx and operator.in_files else {}
        if context.setup.eager not in context.missing:
            kernels["torch"] = _in_torch(context, operator)
        rows += [_row(operator, name, kernel, operands) for name, kernel in kernels.items()]
    return Section(
        f"Elementary functions, {wanted}",
        (
            f"Each function alone, on floats of both signs and every exponent, subnormal ones too, zeros, infinities "
            f"and NaN, and on all that are near to where it is difficult; against numpy's {np.dtype(wider(wanted))}. "
            "Errors are those of normal operands with normal values. Allowed: roundoffs, of which one ulp is one to "
            "two, as nalu_export/primitives/precision.py has them; for Cos, and for Sin from 0.75 on, of 1 and not of "
            "the value, whose ulp may be off by any number near a zero."
        ),
        HEADER,
        tuple(rows),
    )


def grid(operator: Operator, kind: type[np.floating], *, quick: bool) -> list[Array]:
    """The operands."""
    bits: type[np.unsignedinteger] = np.uint32 if kind is np.float32 else np.uint64
    width = np.dtype(bits).itemsize * 8
    count = COUNT[quick, kind]
    step = 2**width // count - 1  # odd, so that mantissas vary
    every = (np.arange(count, dtype=bits) * bits(step)).view(kind)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0], kind)
    smallest = np.arange(1, CLOSE[quick], dtype=bits).view(kind)
    parts = [special, every, smallest, -smallest]
    around = np.arange(-CLOSE[quick], CLOSE[quick])
    integers = np.int32 if kind is np.float32 else np.int64
    for number in operator.close:
        nearby = (int(np.array(number, kind).view(integers)) + around).astype(integers).view(kind)
        parts += [nearby, -nearby]
    x = np.concatenate(parts)
    return [x] if operator.operands == 1 else _pairs(x, kind)


def _pairs(x: Array, kind: type[np.floating]) -> list[Array]:
    """Any with any, most of which are too large or too small together; and as many of moderate size."""
    rng = np.random.default_rng(0)
    first = np.exp(rng.uniform(-9, 9, len(x))).astype(kind)
    second = rng.uniform(-9, 9, len(x)).astype(kind)
    return [np.concatenate([x, first]), np.concatenate([rng.permutation(x), second])]


def _in_onnxruntime(context: Context, operator: Operator, kind: type[np.floating]) -> Callable[[list[Array]], Array]:
    def run(operands: list[Array]) -> Array:
        name = context.setup.onnx[0]
        session = runtimes.get(name).load(NAC(1, 1), one_operator(operator, kind), RunOptions())
        return np.asarray(session.run(operands)[0])

    return run


def _in_torch(context: Context, operator: Operator) -> Callable[[list[Array]], Array]:
    def run(operands: list[Array]) -> Array:
        device = context.setup.device
        found: Array = operator.torch(*(torch.from_numpy(x).to(device) for x in operands)).cpu().numpy()
        return found

    return run


def one_operator(operator: Operator, kind: type[np.floating]) -> bytes:
    """A file with one node."""
    names = ["x", "y"][: operator.operands]
    inputs = [helper.make_tensor_value_info(name, ONNX_TYPES[kind], ["n"]) for name in names]
    output = helper.make_tensor_value_info("z", ONNX_TYPES[kind], ["n"])
    graph = helper.make_graph([helper.make_node(operator.name, names, ["z"])], "g", inputs, [output])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString()
    return data


def _row(
    operator: Operator, name: str, kernel: Callable[[list[Array]], Array], operands: list[Array]
) -> tuple[str, ...]:
    head = (operator.name, str(operands[0].dtype), name)
    try:
        found = errors(operator, operands, kernel(operands))
    except Exception as error:  # noqa: BLE001  a failing item is a line of the table
        return (*head, brief(error), *[""] * (len(HEADER) - 4))
    return (*head, *cells(found, operator.allowance))


def cells(found: Errors, allowance: float) -> tuple[str, ...]:
    """The rest of a row."""
    verdict = "holds" if not found.beyond and not found.wrong else f"EXCEEDS: {found.beyond}, {found.wrong} not finite"
    return (
        f"{found.tried:,}",
        figure(found.ulp),
        figure(found.roundoffs),
        f"{allowance:g}",
        verdict,
        found.worst,
        found.inputs,
        found.outputs,
        str(found.wrong),
    )
