"""ONNX files whose texts about themselves are damaged or hostile."""

import json
from collections.abc import Callable

import onnx

from tests.hostile.case import CHECK, INSPECT, Case, Table
from tests.hostile.exports import edited


def said(key: str, value: str, *, live: bool = False) -> Callable[[], bytes]:
    """The ONNX file with one of its texts about itself changed."""

    def edit(proto: onnx.ModelProto) -> None:
        for entry in proto.metadata_props:
            if entry.key == f"nalu_export.{key}":
                entry.value = value

    return lambda: edited(edit, live=live)


def deep(key: str) -> Case:
    """A text of the ONNX file about itself that nests its values."""
    return Case(
        said(key, "[" * 600 + "]" * 600),
        f"its metadata nalu_export.{key} nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    )


METADATA: Table = {
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
    "ONNX of another tool": Case(
        lambda: edited(lambda proto: proto.ClearField("metadata_props")),
        "is a file of format onnx, but has no metadata of nalu_export; give a file that nalu_export exported",
        INSPECT,
        "artifact",
    ),
}
