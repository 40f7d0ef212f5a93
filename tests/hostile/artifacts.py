"""Malformed and hostile exported files: ONNX and TorchScript."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from nalu_export import NAC, export
from nalu_export.formats import FormatName
from tests.checkpoints import files
from tests.hostile.case import CHECK, INSPECT, Case, Table
from tests.hostile.wire import EMPTY, START, field, group, nested, number, within


@functools.cache
def exported(kind: FormatName, *, live: bool = False) -> bytes:
    """A good export of a NAC, 2 → 1."""
    torch.manual_seed(0)
    return export(NAC(2, 1), format=kind, weights="live" if live else "folded", check=False).data


def edited(edit: Callable[[onnx.ModelProto], object], *, live: bool = False) -> bytes:
    """The ONNX file after a change."""
    proto = onnx.load_from_string(exported("onnx", live=live))
    edit(proto)
    return proto.SerializeToString()  # type: ignore[no-any-return]


def external(tensor: TensorProto, location: str) -> None:
    """Make a tensor one whose bytes are in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=value)


def odd(tensor: TensorProto) -> TensorProto:
    """Damage a tensor, and give it a name that a terminal would obey."""
    tensor.name = "\n\x1b[2J" + 100 * "x"
    tensor.dims.append(7)
    return tensor


def outside(location: str) -> Callable[[], bytes]:
    """The ONNX file with its weight in another file."""
    return lambda: edited(lambda proto: external(proto.graph.initializer[0], location))


def _in_attribute(proto: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "hidden")
    external(tensor, "../secret")
    proto.graph.node.append(helper.make_node("Constant", [], ["hidden"], value=tensor))


def _in_branch(proto: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "deep")
    external(tensor, "../secret")
    branch = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("deep", 1, [2])], [tensor])
    proto.graph.node.append(helper.make_node("If", ["no"], ["deep"], then_branch=branch, else_branch=branch))


def _in_function(proto: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "called")
    external(tensor, "../secret")
    node = helper.make_node("Constant", [], ["called"], value=tensor)
    proto.functions.append(helper.make_function("d", "f", [], ["called"], [node], [helper.make_opsetid("", 20)]))


def _in_sparse(proto: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "thin")
    external(values, "../secret")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "where")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2]))


def hidden(way: Sequence[int]) -> Case:
    """A tensor in another file, where these fields of a file lead to."""
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "hidden")
    external(tensor, "../secret")
    return Case(
        lambda: exported("onnx") + within((*way,), tensor.SerializeToString())[len(START) :],
        "keeps hidden in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    )


def said(key: str, value: str, *, live: bool = False) -> Callable[[], bytes]:
    """The ONNX file with one of its texts about itself changed."""

    def edit(proto: onnx.ModelProto) -> None:
        for entry in proto.metadata_props:
            if entry.key == f"nalu_export.{key}":
                entry.value = value

    return lambda: edited(edit, live=live)


def resized(dims: list[int]) -> Callable[[], bytes]:
    """The ONNX file with a weight that says to have another shape."""

    def edit(proto: onnx.ModelProto) -> None:
        proto.graph.initializer[0].dims[:] = dims

    return lambda: edited(edit)


def script(changes: Mapping[str, bytes | None]) -> bytes:
    """The TorchScript file with members replaced or removed."""
    members = files.members_of(exported("torchscript"))
    for name, content in changes.items():
        (full,) = [found for found in members if found.endswith(name)]
        members[full] = content or b""
        if content is None:
            del members[full]
    return files.zip_bytes(members)


def a_bit_flipped() -> bytes:
    """The TorchScript file with one bit of its weight flipped."""
    data = bytearray(exported("torchscript"))
    content = next(
        value for name, value in files.members_of(bytes(data)).items() if "/constants/0" in name or "/data/0" in name
    )
    data[data.index(content)] ^= 1
    return bytes(data)


def script_bomb() -> bytes:
    """A TorchScript file with a compressed member that unpacks to a thousand times its size."""
    members = files.members_of(exported("torchscript"))
    return files.zip_bytes(members | {"archive/code/x.py": bytes(100_000_000)}, compression=8)


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


def deep(key: str) -> Case:
    """A text of the ONNX file about itself that nests its values."""
    return Case(
        said(key, "[" * 600 + "]" * 600),
        f"its metadata nalu_export.{key} nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    )


ARTIFACTS: Table = {
    "nothing": Case(lambda: b"", "is not an exported file; expected cpp, onnx or torchscript", CHECK, "artifact"),
    "text for an artifact": Case(
        lambda: b"ir_version: 8\n", "is not an exported file; expected cpp, onnx or torchscript", CHECK, "artifact"
    ),
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
    "ONNX, a weight above its folder": Case(
        outside("../secret"),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a weight at an absolute path": Case(
        outside("/etc/passwd"),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a weight in its folder": Case(
        outside("good.pt"),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a weight in nothing": Case(
        outside(""),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a constant elsewhere": Case(
        lambda: edited(_in_attribute),
        "keeps hidden in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a branch elsewhere": Case(
        lambda: edited(_in_branch),
        "keeps deep in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a function elsewhere": Case(
        lambda: edited(_in_function),
        "keeps called in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a sparse weight elsewhere": Case(
        lambda: edited(_in_sparse),
        "keeps thin in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a tensor of several elsewhere": hidden((7, 1, 5, 10)),
    "ONNX, a sparse attribute elsewhere": hidden((7, 1, 5, 22, 1)),
    "ONNX, a place in a sparse attribute elsewhere": hidden((7, 1, 5, 22, 2)),
    "ONNX, a sparse attribute of several elsewhere": hidden((7, 1, 5, 23, 1)),
    "ONNX, a graph of several elsewhere": hidden((7, 1, 5, 11, 5)),
    "ONNX, a default of a function elsewhere": hidden((25, 11, 5)),
    "ONNX, a training elsewhere": hidden((20, 1, 5)),
    "ONNX, an algorithm elsewhere": hidden((20, 2, 1, 5, 6, 5)),
    "ONNX, layers that are no JSON": Case(
        said("layers", "["), "its metadata nalu_export.layers is not JSON", (*CHECK, *INSPECT), "artifact"
    ),
    "ONNX, layers of another kind": Case(
        said("layers", '{"a": 1}'),
        "its metadata nalu_export.layers is not what an export writes",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, nested layers": Case(
        said("layers", "[" * 100_000),
        "its metadata nalu_export.layers nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, layers 600 deep": deep("layers"),
    "ONNX, inputs 600 deep": deep("inputs"),
    "ONNX, outputs 600 deep": deep("outputs"),
    "ONNX, a verdict 600 deep": deep("parity"),
    "ONNX, layers in objects 201 deep": Case(
        said("layers", '[{"path": "a", "type": "b", "x": ' + '{"x": ' * 199 + "1" + "}" * 201 + "]"),
        "its metadata nalu_export.layers nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
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
    "ONNX, a formula that calls code": Case(
        said("layers", '[{"path": "layers.0", "type": "os.system", "gates": [{"sum": "os.system(W)"}]}]'),
        "the tensors of its layer 'layers.0' do not fit its metadata: a formula calls 'os.system', "
        "which is not a primitive; export it again",
        INSPECT,
        "artifact",
    ),
    "ONNX, a layer that is not there": Case(
        said("layers", '[{"path": "\\u001b[2J", "type": "NACCell", "in_features": 2, "out_features": 1}]'),
        "the file has no tensors of its layer '\\x1b[2J'; export it again",
        INSPECT,
        "artifact",
    ),
    "ONNX, a layer of another size": Case(
        said("layers", '[{"path": "layers.0", "type": "NACCell", "in_features": 1000000000, "out_features": 1000}]'),
        "the tensors of its layer 'layers.0' do not fit its metadata: W has shape (1, 2); expected "
        "(1000, 1000000000); export it again",
        INSPECT,
        "artifact",
    ),
    "ONNX, a formula of too many numbers": Case(
        said("layers", '[{"path": "layers.0", "type": "N", "gates": [{"sum": "expand(W, [99999999, 1, 2])"}]}]'),
        "the tensors of its layer 'layers.0' do not fit its metadata: a formula needs too many numbers or "
        "operations; export it again",
        INSPECT,
        "artifact",
    ),
    "ONNX, a layer twice": Case(
        said("layers", json.dumps([{"path": "layers.0", "type": "NACCell", "in_features": 2, "out_features": 1}] * 2)),
        "its metadata lists the layer 'layers.0' twice; export it again",
        INSPECT,
        "artifact",
    ),
    "ONNX, a thousand and one layers": Case(
        said("layers", json.dumps([{"path": "layers.0", "type": "NACCell"}] * 1001)),
        "its metadata lists 1,001 layers; at most 1,000 are shown",
        INSPECT,
        "artifact",
    ),
    "ONNX, another type": Case(
        said("compute", "float7"), "its metadata says compute 'float7'; expected float32 or float64", CHECK, "artifact"
    ),
    "ONNX, inputs of another kind": Case(
        said("inputs", '[{"name": "x"}]'),
        "its metadata nalu_export.inputs is not what an export writes",
        CHECK,
        "artifact",
    ),
    "ONNX, a huge input": Case(
        said("inputs", '[{"name": "input", "dtype": "float32", "shape": ["batch", 1, 1000000, 1000000]}]'),
        "its metadata says inputs of 1×1000000×1000000, which the model does not take",
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
    "ONNX, a weight elsewhere of an odd name": Case(
        lambda: edited(lambda proto: external(odd(proto.graph.initializer[0]), "x")),
        "keeps '\\n\\x1b[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' in another "
        "file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, nothing but its first line": Case(
        lambda: b"// nalu_export header 1\n",
        "is a file of format cpp, but has no metadata of nalu_export; give a file that nalu_export exported",
        INSPECT,
        "artifact",
    ),
    "header, metadata no JSON": Case(
        lambda: exported("cpp").replace(b'nalu_export.tool: "', b"nalu_export.tool: {"),
        "its metadata nalu_export.tool is damaged; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, a table that is none": Case(
        lambda: exported("cpp").replace(b'nalu_export.layers: "[', b'nalu_export.layers: "3'),
        "its metadata nalu_export.layers is not JSON",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, layers 600 deep": Case(
        lambda: exported("cpp").replace(
            b'nalu_export.layers: "[', b'nalu_export.layers: "' + b"[" * 600 + b"]" * 600 + b'"\n//   x: "['
        ),
        "its metadata nalu_export.layers nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, a text 600 deep": Case(
        lambda: exported("cpp").replace(b'nalu_export.tool: "', b"nalu_export.tool: " + b"[" * 600 + b'"'),
        "its metadata nalu_export.tool is damaged; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, a number for a text": Case(
        lambda: exported("cpp").replace(b'nalu_export.tool: "', b'nalu_export.tool: 7\n//   x: "'),
        "its metadata is not text",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, of another part": Case(
        lambda: exported("cpp").replace(
            b"//   nalu_export.tool", b'//   nalu_export.part: "{\\"path\\": \\"x\\"}"\n//   nalu_export.tool'
        ),
        "does not fit the model: part is 'x', which is not an arithmetic subgraph of the model; the only one is the "
        "model itself",
        CHECK,
        "artifact",
    ),
    "header, an array of too few numbers": Case(
        lambda: exported("cpp").replace(b"// weight 1x2", b"// weight 1x3"),
        "holds a damaged array 'layers.0.W'; export it again",
        INSPECT,
        "artifact",
    ),
    "header, an array of a huge shape": Case(
        lambda: exported("cpp").replace(b"// weight 1x2", b"// weight 999999999x999999999"),
        "holds a damaged array 'layers.0.W'; export it again",
        INSPECT,
        "artifact",
    ),
    "header, an escape sequence for a number": Case(
        lambda: exported("cpp").replace(b"] = {\n  ", b"] = {\n  \x1b[2J "),
        "holds a damaged array 'layers.0.W'; export it again",
        INSPECT,
        "artifact",
    ),
    "ONNX of another tool": Case(
        lambda: edited(lambda proto: proto.ClearField("metadata_props")),
        "is a file of format onnx, but has no metadata of nalu_export; give a file that nalu_export exported",
        INSPECT,
        "artifact",
    ),
    "TorchScript, cut": Case(
        lambda: exported("torchscript")[:-30],
        "is not an exported file; expected cpp, onnx or torchscript",
        CHECK,
        "artifact",
    ),
    "TorchScript, no code": Case(
        lambda: files.zip_bytes(
            {
                name: content
                for name, content in files.members_of(exported("torchscript")).items()
                if "/code/" not in name
            }
        ),
        "is not an exported file; expected cpp, onnx or torchscript",
        CHECK,
        "artifact",
    ),
    "TorchScript, a bit of a weight": Case(
        a_bit_flipped,
        "is damaged: archive/data/0 cannot be read, or does not match its checksum; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, a bomb": Case(
        script_bomb,
        "is a TorchScript archive of 99,938 bytes that unpacks to 100,001,952; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, a member packed by bzip2": Case(
        lambda: files.zip_bytes(files.members_of(exported("torchscript")), compression=12),
        "compresses archive/extra/nalu_export.json by a method that torch does not use; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, metadata no JSON": Case(
        lambda: script({"extra/nalu_export.json": b"{"}),
        "its extra file nalu_export.json is damaged; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, metadata a list": Case(
        lambda: script({"extra/nalu_export.json": b"[]"}),
        "its extra file nalu_export.json is not a JSON object of texts; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, metadata nested": Case(
        lambda: script({"extra/nalu_export.json": b"[" * 100_000}),
        "its extra file nalu_export.json nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, metadata 600 deep": Case(
        lambda: script({"extra/nalu_export.json": b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}"}),
        "its extra file nalu_export.json nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, layers 600 deep": Case(
        lambda: script({"extra/nalu_export.json": json.dumps({"nalu_export.layers": "[" * 600 + "]" * 600}).encode()}),
        "its metadata nalu_export.layers nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "TorchScript, metadata of numbers": Case(
        lambda: script({"extra/nalu_export.json": b'{"nalu_export.tool": [1, 2]}'}),
        "its extra file nalu_export.json is not a JSON object of texts; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
}
