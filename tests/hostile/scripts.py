"""TorchScript archives that are damaged, hostile, or say nonsense about themselves."""

import json
from collections.abc import Mapping

from tests.checkpoints import files
from tests.hostile.case import CHECK, INSPECT, Case, Table
from tests.hostile.exports import exported


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


SCRIPTS: Table = {
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
