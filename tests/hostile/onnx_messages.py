"""ONNX files whose messages are cut, huge, nested, or do not fit each other."""

from collections.abc import Callable

import onnx

from tests.hostile.case import CHECK, INSPECT, Case, Table
from tests.hostile.exports import edited, exported, odd
from tests.hostile.wire import EMPTY, START, field, group, nested, number, within


def resized(dims: list[int]) -> Callable[[], bytes]:
    """The ONNX file with a weight that says to have another shape."""

    def edit(proto: onnx.ModelProto) -> None:
        proto.graph.initializer[0].dims[:] = dims

    return lambda: edited(edit)


def heavy(name: str) -> Case:
    """Two megabytes of fields that take little of a file and much of memory, behind a good export."""
    way, unit = EMPTY[name]
    size = len(exported("onnx")) + len(within(way, unit * (2_000_000 // len(unit)))) - len(START)
    return Case(
        lambda: exported("onnx") + within(way, unit * (2_000_000 // len(unit)))[len(START) :],
        f"is an ONNX file of {size:,} bytes that would take more than {48 * size + 50_331_648:,} bytes of memory; "
        "export it again",
        (*CHECK, *INSPECT),
        "artifact",
    )


MESSAGES: Table = {
    "ONNX, cut": Case(
        lambda: exported("onnx")[:-1], "is not an exported file; expected cpp, onnx or torchscript", CHECK, "artifact"
    ),
    "ONNX, cut in the middle": Case(
        lambda: exported("onnx")[:200], "is not an exported file; expected cpp, onnx or torchscript", CHECK, "artifact"
    ),
    "ONNX, no output": Case(
        lambda: edited(lambda proto: proto.graph.output.pop()),
        "is not an exported file; expected cpp, onnx or torchscript",
        CHECK,
        "artifact",
    ),
    "ONNX, a million empty nodes": heavy("nodes"),
    "ONNX, a million empty attributes": heavy("attributes"),
    "ONNX, attributes with empty graphs": heavy("attributes with an empty graph"),
    "ONNX, attributes with empty tensors": heavy("attributes with an empty tensor"),
    "ONNX, a million empty graphs": heavy("graphs"),
    "ONNX, a million empty initializers": heavy("initializers"),
    "ONNX, a million empty inputs": heavy("inputs"),
    "ONNX, a million empty metadata": heavy("metadata"),
    "ONNX, empty functions": heavy("functions"),
    "ONNX, nested empty types": heavy("values with a sequence"),
    "ONNX, a million empty external data": heavy("external data"),
    "ONNX, four million fields": Case(
        lambda: exported("onnx") + number(5) * 4_000_000,
        "is an ONNX file of more than 4,000,000 fields; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, four million fields that nobody knows": Case(
        lambda: exported("onnx") + number(200) * 4_000_000,
        "is an ONNX file of more than 4,000,000 fields; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, graphs in graphs": Case(
        lambda: exported("onnx") + field(7, field(1, field(5, nested((6, 1, 5), 100)))),
        "nests the messages of an ONNX file deeper than 100; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, types in types": Case(
        lambda: exported("onnx") + field(7, field(13, field(2, nested((4, 1), 1000)))),
        "nests the messages of an ONNX file deeper than 100; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a group": Case(
        lambda: exported("onnx") + group(200, number(1)),
        "is not an exported file; expected cpp, onnx or torchscript",
        CHECK,
        "artifact",
    ),
    "ONNX, groups in groups": Case(
        lambda: exported("onnx") + b"\xc3\x0c" * 10_000,
        "is not an exported file; expected cpp, onnx or torchscript",
        CHECK,
        "artifact",
    ),
    "ONNX, a text that is larger than the file": Case(
        lambda: exported("onnx") + b"\x12\xff\xff\xff\xff\x07",
        "is not an exported file; expected cpp, onnx or torchscript",
        CHECK,
        "artifact",
    ),
    "ONNX, a weight of another shape": Case(resized([1, 3]), "holds a damaged tensor layers.0.W", INSPECT, "artifact"),
    "ONNX, a weight of a huge shape": Case(
        resized([2**40, 2**40]), "holds a damaged tensor layers.0.W", INSPECT, "artifact"
    ),
    "ONNX, a weight of a negative shape": Case(
        resized([-1, 2]), "holds a damaged tensor layers.0.W", INSPECT, "artifact"
    ),
    "ONNX, a damaged weight of an odd name": Case(
        lambda: edited(lambda proto: odd(proto.graph.initializer[0])),
        "holds a damaged tensor '\\n\\x1b[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
        INSPECT,
        "artifact",
    ),
    "ONNX, a damaged weight whose name is not UTF-8": Case(
        lambda: resized([1, 3])().replace(b"layers.0.W", b"layers.\xff.W"),
        "holds a damaged tensor b'layers.\\xff.W'",
        INSPECT,
        "artifact",
    ),
}
