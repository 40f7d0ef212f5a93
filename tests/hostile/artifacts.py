"""Malformed and hostile exported files: ONNX, C++ headers and TorchScript."""

from tests.hostile.case import CHECK, Case, Table
from tests.hostile.headers import HEADERS
from tests.hostile.onnx_elsewhere import ELSEWHERE
from tests.hostile.onnx_messages import MESSAGES
from tests.hostile.onnx_metadata import METADATA
from tests.hostile.scripts import SCRIPTS

ARTIFACTS: Table = {
    "nothing": Case(lambda: b"", "is not an exported file; expected cpp, onnx or torchscript", CHECK, "artifact"),
    "text for an artifact": Case(
        lambda: b"ir_version: 8\n", "is not an exported file; expected cpp, onnx or torchscript", CHECK, "artifact"
    ),
    **MESSAGES,
    **ELSEWHERE,
    **METADATA,
    **HEADERS,
    **SCRIPTS,
}
