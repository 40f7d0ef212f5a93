"""What protobuf would make of an ONNX file: counted before it is parsed, and never less than it is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from google.protobuf.internal import api_implementation
from onnx import helper, numpy_helper

from nalu_export import InputError
from nalu_export.formats.onnx.format import FORMAT
from nalu_export.formats.onnx.wire import MAX_FIELDS, MAX_MULTIPLE, MAX_SPARE, WireError, counted, refuse_large
from tests.hostile import mutations, seeds
from tests.hostile.wire import EMPTY, START, TENSOR, field, group, nested, number, varint, within

# A little more than a power of two: an array of as many has just doubled.
COUNT = 66_000

# Parses as many of each, and says how many bytes more there were at the most.
MEASURE = """
import json, sys, onnx
from pathlib import Path
from tests.formats.onnx.test_wire import COUNT
from tests.hostile.wire import EMPTY, within

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":"))

onnx.load_from_string(within((), b""))
found = {}
for name, (way, unit) in EMPTY.items():
    data = within(way, unit * COUNT)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    proto = onnx.load_from_string(data)
    found[name] = status("VmHWM") - before
    del proto, data
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    """Bytes that protobuf takes for as many of each."""
    root = Path(__file__).parents[3]
    # What is freed is given back to the system, so that each begins with what the first had.
    given_back = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    environment = os.environ | given_back | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True, env=environment, cwd=root)
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.quick(15)
@pytest.mark.skipif(
    api_implementation.Type() != "upb", reason="the figures are those of protobuf's implementation in C"
)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the highest mark is one of Linux")
@pytest.mark.parametrize("name", EMPTY)
def test_no_less_is_counted_than_protobuf_takes(name: str, measured: dict[str, int]) -> None:
    way, unit = EMPTY[name]
    taken, said = measured[name] / COUNT, counted(within(way, unit * COUNT)).memory / COUNT
    assert taken <= said, (taken, said)


def test_every_kind_of_message_of_the_schema_is_among_them() -> None:
    """A message that a later release of ONNX brings is counted by its fields; this says that nobody has measured it."""
    named = {f"onnx.{name}" for name in ("GraphProto", "TensorProto", "TypeProto", "ModelProto")}
    walked = {kind for way, unit in EMPTY.values() for kind in _kinds(onnx.ModelProto.DESCRIPTOR, within(way, unit))}
    known: set[str] = set()
    _all_kinds(onnx.ModelProto.DESCRIPTOR, known)
    assert named < walked
    assert known - walked == {
        "onnx.TypeProto.Optional",
        "onnx.TypeProto.SparseTensor",
        "onnx.TypeProto.Opaque",
        "onnx.ShardingSpecProto",
        "onnx.IntIntListEntryProto",
        "onnx.ShardedDimProto",
        "onnx.SimpleShardedDimProto",
    }


def _all_kinds(descriptor: object, known: set[str]) -> None:
    if descriptor.full_name not in known:  # type: ignore[attr-defined]
        known.add(descriptor.full_name)  # type: ignore[attr-defined]
        for each in descriptor.fields:  # type: ignore[attr-defined]
            if each.message_type is not None:
                _all_kinds(each.message_type, known)


def _kinds(descriptor: object, data: bytes) -> set[str]:
    """The kinds of message that protobuf finds in a file."""
    found: set[str] = set()
    todo = [onnx.load_from_string(data)]
    while todo:
        message = todo.pop()
        found.add(message.DESCRIPTOR.full_name)
        for each, value in message.ListFields():
            if each.message_type is not None:
                todo += value if each.is_repeated else [value]
    return found


HEAVY = (
    *("nodes", "attributes", "attributes with an empty graph", "graphs", "tensors in attributes", "initializers"),
    *("values", "metadata", "functions", "training with two graphs", "values with an empty type", "axes"),
)


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", HEAVY)
def test_megabytes_of_what_takes_more_than_it_may_are_refused(name: str) -> None:
    way, unit = EMPTY[name]
    data = within(way, unit * (4_000_000 // len(unit)))
    limit = MAX_MULTIPLE * len(data) + MAX_SPARE
    text = (
        f"^is an ONNX file of {len(data):,} bytes that would take more than {limit:,} bytes of memory; export it again$"
    )
    with pytest.raises(InputError, match=text):
        FORMAT.opened(data)


def test_a_small_file_may_be_of_anything() -> None:
    for way, unit in EMPTY.values():
        refuse_large(within(way, unit * 10_000))


@pytest.mark.slow
def test_more_fields_than_can_be_looked_at() -> None:
    refuse_large(START + number(1) * (MAX_FIELDS - 2))
    with pytest.raises(InputError, match=r"^is an ONNX file of more than 4,000,000 fields; export it again$"):
        refuse_large(START + number(1) * MAX_FIELDS)


def test_messages_in_messages() -> None:
    """As deep as protobuf reads them, and no deeper."""
    data = START + field(7, field(1, field(5, nested((6, 1, 5), 32))))
    refuse_large(data)
    onnx.load_from_string(data)
    with pytest.raises(InputError, match=r"^nests the messages of an ONNX file deeper than 100; export it again$"):
        refuse_large(START + field(7, field(1, field(5, nested((6, 1, 5), 33)))))
    with pytest.raises(InputError, match="deeper than 100"):
        refuse_large(START + field(7, field(11, field(2, nested((4, 1), 2_000)))))


CUT, BEYOND = "ends within a field", "has a field that reaches beyond its message, or has no number"
INSIDE = "has a message that reaches beyond the one around it"
NO_MESSAGE: dict[str, tuple[bytes, str]] = {
    "a number cut": (START + b"\x08\x80", CUT),
    "a number of eleven bytes": (START + b"\x08" + b"\x80" * 10 + b"\0", "has a number of more than 64 bits"),
    "a field cut": (START + b"\x12\x05abcd", BEYOND),
    "a size cut": (START + b"\x12\x80", CUT),
    "a size of 2**35": (START + b"\x12\x80\x80\x80\x80\x80\x01", "has a number of more than 32 bits"),
    "a size of 2**32": (START + b"\x12\x80\x80\x80\x80\x10", "has a number of more than 32 bits"),
    "a float cut": (START + field(7, field(1, field(5, b"\x15\0\0"))), BEYOND),
    "a message beyond the one around it": (START + b"\x3a\x02\x0a\x04" + number(1) * 9, INSIDE),
    "a text beyond the message around it": (START + b"\x3a\x02\x12\x04" + number(1) * 9, BEYOND),
    "a number beyond the message around it": (START + b"\x3a\x02\x08\x80" + number(1) * 9, BEYOND),
    "a field without a number": (START + b"\0\0", BEYOND),
    "a field of six bytes for its number": (START + b"\x88\x80\x80\x80\x80\x00\0", "has a number of more than 32 bits"),
    "a group": (START + group(200), "has a group"),
    "a group that is not closed": (START + varint(200 << 3 | 3), "has a group"),
    "the end of a group": (START + varint(200 << 3 | 4), "has a group"),
    "a kind of field that there is none of": (START + b"\x0e\0", "has a group"),
}


@pytest.mark.parametrize("name", NO_MESSAGE)
def test_what_is_no_message_of_protobuf(name: str) -> None:
    data, text = NO_MESSAGE[name]
    with pytest.raises(WireError, match=f"^{text}$"):
        refuse_large(data)
    assert FORMAT.opened(data) is None


def test_what_protobuf_reads_is_walked_to_its_end() -> None:
    """Of changed files, whatever protobuf takes has been counted, but for groups, which ONNX has not."""
    rng = Random(0)
    good = list(seeds.artifact_files().values())
    read = 0
    for _ in range(3000):
        data = mutations.mutate_bytes(rng.choice(good), rng)
        try:
            refuse_large(data)
            whole = True
        except WireError:
            whole = False
        try:
            proto = onnx.load_from_string(data)
        except Exception:  # noqa: BLE001  protobuf's DecodeError is another class in each of its implementations
            continue
        read += 1
        assert whole or b"\x0b" in data or any(byte & 7 == 3 for byte in data), data
        assert proto is not None
    assert read > 100


def test_a_tensor_in_another_file_is_told_wherever_it_is() -> None:
    """Only where a tensor says where its bytes are must the tensors be looked at, one by one."""
    for way, unit in EMPTY.values():
        said = counted(within(way, unit)).outside
        assert said == (unit == field(13) and way == TENSOR)
    for path in ((7, 5), (7, 1, 5, 5), (7, 1, 5, 10), (7, 15, 1), (7, 1, 5, 22, 2), (25, 7, 5, 6, 5), (20, 1, 5)):
        assert counted(within((*path, 13), b"")).outside
        assert counted(within(path, number(14, 1))).outside
        assert not counted(within(path, field(9, b"\x6a\0\x70\1"))).outside


@pytest.mark.parametrize("count", [1, 1_000, 10_000])
def test_a_good_file_is_far_from_the_limit(count: int) -> None:
    """As many small weights, each with its node; a file of one weight is passed over in a step."""
    weights = [numpy_helper.from_array(np.zeros(250_000 // count, np.float32), f"w{k}") for k in range(count)]
    nodes = [helper.make_node("Add", [f"w{k}", f"w{k}"], [f"y{k}"], name=f"node_Add_{k}") for k in range(count)]
    graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("y0", 1, [1])], weights)
    data = helper.make_model(graph).SerializeToString()
    refuse_large(data)
    assert counted(data).memory < 12 * len(data) + 10_000
