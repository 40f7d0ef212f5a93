"""Memory and time of reading files that are made to take much of both: ``python -m fuzz.bombs``.

For each file: the memory that reading it takes beyond what the process had before, at its highest, in multiples of the
size of the file.
"""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from nalu_export.formats.onnx.wire import MAX_MULTIPLE, MAX_SPARE, counted
from tests.checkpoints import files, programs
from tests.checkpoints.programs import with_program
from tests.hostile import seeds
from tests.hostile.exports import exported
from tests.hostile.readers import READERS
from tests.hostile.wire import EMPTY, START, within

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 2**20


def _many(instruction: bytes, count: int = 999_000) -> Callable[[], bytes]:
    """A checkpoint with a list of as many values as there may be instructions."""
    return lambda: with_program(b"\x80\x02(" + instruction * count + b"l.")


def _dictionary(number: Callable[[int], bytes], value: bytes = b"N", count: int = 400_000) -> Callable[[], bytes]:
    return lambda: with_program(b"\x80\x02}(" + b"".join(number(index) + value for index in range(count)) + b"u.")


def _tensors(count: int = 49_000) -> bytes:
    """As many tensors as there may be, of one storage that is remembered."""
    head = (
        b"\x80\x02"
        + programs.name("torch._utils", "_rebuild_tensor_v2")
        + b"q\x00"
        + programs.storage_program()
        + b"q\x01"
    )
    arguments = b"h\x01K\x00K\x04\x85K\x01\x85\x89}tR"
    each = b"".join(b"M" + struct.pack("<H", index) + b"h\x00(" + arguments for index in range(count))
    return with_program(head + b"}(" + each + b"u.", **{"0": bytes(16)})


def _storages(count: int = 20_000) -> bytes:
    """As many tensors, each with a storage of its own."""
    state = {str(index): torch.zeros(1) for index in range(count)}
    return files.torch_bytes(state)


def _shared(count: int = 60) -> bytes:
    """A storage of a megabyte under 60 names: the model holds 60."""
    weight = torch.zeros(512, 512)
    children = {str(index): files.linear(in_features=512, out_features=512) for index in range(count)}
    state = {f"{index}.weight": weight for index in range(count)}
    return files.torch_bytes(files.native({"type": "Sequential", "children": children}, state))


def _dots() -> bytes:
    """Names with a hundred prefixes each."""
    state = {f"{index}" + ".ab" * 300: torch.zeros(()) for index in range(4000)}
    return files.safetensors_bytes(
        {n: {"dtype": "F32", "shape": [], "data_offsets": [4 * i, 4 * i + 4]} for i, n in enumerate(state)},
        bytes(16_000),
    )


def _header(count: int = 50_000) -> bytes:
    """Empty tensors, which take nothing but their names."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return files.safetensors_bytes({str(index): entry for index in range(count)})


def _metadata(text: str) -> Callable[[], bytes]:
    return lambda: files.safetensors_bytes({"__metadata__": {"nalu_export": text}})


def _description() -> str:
    """A description as large as it may be."""
    model = {"type": "Sequential", "children": {str(i): {"type": "ReLU"} for i in range(19_000)}}
    return json.dumps({"format": "nalu_export", "version": 1, "model": model})


def _members(count: int = 30_000) -> bytes:
    return files.zip_bytes({f"archive/{index}": b"" for index in range(count)})


def _export_list(count: int = 20_000) -> bytes:
    entry = {"path_name": "w", "use_pickle": False, "tensor_meta": {
        "dtype": 7, "layout": 7, "sizes": [{"as_int": 1}], "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0},
    }}  # fmt: skip
    config = json.dumps({"config": {str(index): entry for index in range(count)}}).encode()
    return files.zip_bytes({"m/data/weights/model_weights_config.json": config, "m/data/weights/w": bytes(4)})


def _archive_code() -> bytes:
    """A TorchScript archive that unpacks to the most that it may."""
    members = files.members_of(exported("torchscript"))
    return files.zip_bytes(members | {"archive/code/x.py": bytes(60 * MEGABYTE)}, compression=zipfile.ZIP_DEFLATED)


def _nodes(count: int = 50_000) -> bytes:
    """An ONNX file of many nodes."""
    proto = onnx.load_from_string(exported("onnx"))
    proto.graph.node.extend(helper.make_node("Neg", ["input"], [str(index)]) for index in range(count))
    return proto.SerializeToString()  # type: ignore[no-any-return]


def _wide_gate() -> bytes:
    """An exported layer with a gate for a million inputs, which inspect judges on samples."""
    proto = onnx.load_from_string(exported("onnx"))
    layer = {"path": "a", "type": "NALUCell", "in_features": 10**6, "out_features": 1}
    for entry in proto.metadata_props:
        if entry.key == "nalu_export.layers":
            entry.value = json.dumps([layer])
    for name in ("a.W", "a.G"):
        proto.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 10**6), np.float32), name))
    return proto.SerializeToString()  # type: ignore[no-any-return]


def _long_line(count: int = 500_000) -> bytes:
    """A header with an array of one line."""
    array = b'// weight 1x%d "more"\nalignas\n%s};\n' % (count, b"0 " * count)
    return exported("cpp") + array


def _layers(count: int = 1000) -> bytes:
    """As long a table of layers as there may be."""
    proto = onnx.load_from_string(exported("onnx"))
    for entry in proto.metadata_props:
        if entry.key == "nalu_export.layers":
            (row,) = json.loads(entry.value)
            entry.value = json.dumps([row | {"path": f"l{index}"} for index in range(count)])
    for index in range(count):
        proto.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 2), np.float32), f"l{index}.W"))
    return proto.SerializeToString()  # type: ignore[no-any-return]


def _empty(name: str, size: int = 10_000_000) -> Callable[[], bytes]:
    """A good ONNX file, and behind it ten megabytes of fields that take little of a file and much of memory."""
    way, unit = EMPTY[name]
    return lambda: exported("onnx") + within(way, unit * (size // len(unit)))[len(START) :]


def _most(name: str) -> Callable[[], bytes]:
    """As many of them as there may be in a file of nothing else: a little less than the limit."""
    way, unit = EMPTY[name]
    first, rest = (counted(within(way, unit * number)).memory for number in (1, 1001))
    each = (rest - first) / 1000 - MAX_MULTIPLE * len(unit)
    return _empty(name, int(0.999 * MAX_SPARE / each) * len(unit))


def _zeros(compressed: bool) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, x=np.zeros((MEGABYTE, 2), np.float32))
    return buffer.getvalue()


def _laughs() -> bytes:
    """Lists of a hundred references to the list before."""
    return with_program(
        b"\x80\x02]q\x00" + b"".join(b"0](%seq%c" % (b"h%c" % k * 99, k + 1) for k in range(100)) + b"."
    )


ONNX = ("nodes", "attributes", "attributes with an empty graph", "graphs", "initializers", "outputs", "metadata")
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a million empty lists": ("load", _many(b"]")),
    "a million empty dictionaries": ("load", _many(b"}")),
    "a million floats": ("load", _many(b"G@\x09\x21\xfb\x54\x44\x2d\x18")),
    "a million small numbers": ("load", _many(b"M\xff\xfe")),
    "a million empty texts": ("load", _many(b"X\0\0\0\0")),
    "a million texts of one wide letter": ("load", _many(b"X\x04\0\0\0\xf0\x9f\x98\x80")),
    "half a million sets": ("load", _many(b"(\x91", 490_000)),
    "half a million tuples": ("load", _many(b"N\x85", 490_000)),
    "half a million remembered values": (
        "load",
        lambda: with_program(b"\x80\x02(" + b"".join(b"]r" + struct.pack("<I", i) for i in range(490_000)) + b"l."),
    ),
    "400,000 numbers as keys": ("load", _dictionary(lambda index: b"J" + struct.pack("<i", index))),
    "400,000 empty dictionaries under keys": ("load", _dictionary(lambda index: b"J" + struct.pack("<i", index), b"}")),
    "marks in marks": ("load", lambda: with_program(b"\x80\x02" + b"(" * 999_000 + b".")),
    "lists of a hundred lists, hundredfold": ("load", _laughs),
    "49,000 tensors of one storage": ("load", _tensors),
    "20,000 tensors, a storage each": ("load", _storages),
    "20,000 tensors, a storage each, legacy": (
        "load", lambda: files.torch_bytes({str(i): torch.zeros(1) for i in range(20_000)}, legacy=True),
    ),
    "a storage under 60 names": ("load", _shared),
    "names of 300 dots": ("load", _dots),
    "50,000 empty tensors in a header": ("load", _header),
    "metadata of lists": ("load", _metadata("[" + "[],[[]]," * 120_000 + "1]")),
    "metadata of dictionaries": ("load", _metadata('{"a":[' + "{}," * 300_000 + "1]}")),
    "a description of 19,000 layers": ("load", _metadata(_description())),
    "30,000 members": ("load", _members),
    "a list of 20,000 weights of one file": ("load", _export_list),
    "a zip bomb": ("load", files.bomb),
    "a TorchScript archive that unpacks to 60 MiB": ("inspect", _archive_code),
    "50,000 nodes": ("inspect", _nodes),
    **{f"10 MB of {name}": ("inspect", _empty(name)) for name in ONNX},
    **{f"as many {name} as there may be": ("inspect", _most(name)) for name in ONNX},
    "four million integers": ("inspect", _empty("integers", 7_900_000)),
    "10 MB of texts that are not known": ("inspect", _empty("texts that are not known")),
    "a gate of a million inputs": ("inspect", _wide_gate),
    "1,000 layers of an export": ("inspect", _layers),
    "500,000 numbers in one line of a header": ("inspect", _long_line),
    "zeros, stored": ("inputs", lambda: _zeros(compressed=False)),
    "zeros, compressed a thousandfold": ("inputs", lambda: _zeros(compressed=True)),
    "a pickle for numpy": ("inputs", lambda: pickle.dumps([0.5] * 300_000)),
}  # fmt: skip


def measure(reader: str, path: Path) -> None:
    """In a process of its own: read a good file, then this one, and print the bytes and seconds that it took."""
    good = path.with_name("good")
    for data in (*seeds.torch_files().values(), *seeds.artifact_files().values(), *seeds.input_files().values()):
        good.write_bytes(data)
        _read(reader, good)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts again from here
    began = time.perf_counter()
    said = _read(reader, path)
    taken = {"bytes": _status("VmHWM") - before, "seconds": time.perf_counter() - began, "said": said}
    click.echo(json.dumps(taken))


def _read(reader: str, path: Path) -> str:
    try:
        READERS[reader](path)
    except ValueError as error:
        return str(error)
    return "read"


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


class Taken(NamedTuple):
    """What reading a file took.

    Attributes:
        size: of the file, in bytes.
        memory: bytes, beyond what the process had before.
        seconds: how long it took.
        said: the refusal, without the name of the file; ``"read"`` where there was none.
    """

    size: int
    memory: int
    seconds: float
    said: str


def taken(name: str) -> Taken:
    """Read one of them, in a process of its own."""
    reader, make = BOMBS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bomb"
        path.write_bytes(make())
        command = [sys.executable, "-m", "fuzz.bombs", reader, str(path)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        said = found["said"].partition(": ")[2] or "read"
        return Taken(path.stat().st_size, found["bytes"], found["seconds"], said)


def main() -> None:
    """Measure all of them."""
    click.echo(f"{'file':<57}{'size':>11}{'memory':>11}{'multiple':>9}{'time':>8}  outcome")
    for name in BOMBS:
        found = taken(name)
        click.echo(
            f"{name:<57}{found.size:>11,}{found.memory / MEGABYTE:>7,.0f} MiB{found.memory / found.size:>9.1f}"
            f"{found.seconds:>6.1f} s  {found.said[:60]}"
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
