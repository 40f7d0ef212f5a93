"""Counts the memory that protobuf would need to parse an ONNX file, before protobuf parses it.

An empty message takes two bytes in a file and up to 300 in memory. The counting therefore walks through the bytes of
the file along the schema of ONNX. It skips the contents of strings and of ``raw_data``: even a large file of weights
has few fields.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor import FieldDescriptor as Field
from onnx import ModelProto

from nalu_export.errors import InputError

# Reading a file may take 64 times its size and 64 MiB. What these limits leave is for the bytes of the file and for the
# steps after parsing.
MAX_MULTIPLE, MAX_SPARE = 48, 48 * 2**20
# Counting takes some 0.3 µs a field. Files of torch.onnx have 30 to 100 fields for each node.
MAX_FIELDS = 4_000_000
# Limit of messages within messages, as in protobuf.
MAX_DEPTH = 100

# Bytes of memory in protobuf's C implementation (upb), rounded up; tests/formats/onnx/test_wire.py measures them. Each
# part of a message takes 4 to 16 bytes. An array starts with a header and room for four entries, and doubles when full.
_MESSAGE, _POINTER, _STRING, _ARRAY, _STRINGS = 32, 8, 16, 64, 96
# Bytes for a field that the schema does not know, and for a number that is not a member of its enumeration.
_UNKNOWN = 96
# Bytes of the Python object that this package makes of a message: a TensorSpec, a named array, a metadata text.
_LISTED = {"onnx.ValueInfoProto": 160, "onnx.TensorProto": 300, "onnx.StringStringEntryProto": 200}
# Fields of a tensor that say that its bytes are in another file.
_OUTSIDE = ("onnx.TensorProto.external_data", "onnx.TensorProto.data_location")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_WIRE = {
    **dict.fromkeys((Field.TYPE_DOUBLE, Field.TYPE_FIXED64, Field.TYPE_SFIXED64), _FIXED64),
    **dict.fromkeys((Field.TYPE_FLOAT, Field.TYPE_FIXED32, Field.TYPE_SFIXED32), _FIXED32),
    **dict.fromkeys((Field.TYPE_STRING, Field.TYPE_BYTES, Field.TYPE_MESSAGE), _BYTES),
}


class WireError(ValueError):
    """The bytes are not a protobuf message."""


class _Rule(NamedTuple):
    """What a field costs in memory.

    Attributes:
        cost: bytes of memory for each field.
        rate: bytes of memory for each byte of its content.
        inner: kind of its content, where that is a message.
        outside: whether the field says where the bytes of a tensor are.
    """

    cost: int
    rate: int
    inner: "_Kind | None"
    outside: bool


@dataclass
class _Kind:
    """One kind of message: a rule for each key, which is the field number and the wire type."""

    rules: dict[int, _Rule]


class Counted(NamedTuple):
    """Result of counting a file.

    Attributes:
        memory: upper limit of the bytes that protobuf needs to parse the file.
        outside: whether a tensor says where its bytes are, which may be another file.
    """

    memory: int
    outside: bool


def refuse_large(data: bytes) -> Counted:
    """Refuse a file that protobuf would need too much memory to parse.

    Args:
        data: the file.

    Returns:
        The memory that the file needs, and whether it may refer to other files.

    Raises:
        WireError: the bytes are not a protobuf message.
        InputError: the file would take more than 48 times its size and 48 MiB of memory, has more than 4,000,000
            fields, or nests messages more than 100 deep.
    """
    limit = MAX_MULTIPLE * len(data) + MAX_SPARE
    try:
        found = counted(data, limit)
        if found.memory > limit:
            raise InputError(
                f"is an ONNX file of {len(data):,} bytes that would take more than {limit:,} bytes of memory; "
                "export it again"
            )
    except IndexError as error:
        raise WireError("ends within a field") from error
    return found


def counted(data: bytes, limit: int = 2**62) -> Counted:
    """Count the memory that a file needs.

    Args:
        data: the file.
        limit: bytes of memory above which counting stops.

    Raises:
        WireError, IndexError: the bytes are not a protobuf message.
        InputError: the file has too many fields, or nests messages too deep.
    """
    rules, start, end, total = _schema().rules, 0, len(data), 0
    around: list[tuple[dict[int, _Rule], int]] = []
    outside = False
    for _ in range(MAX_FIELDS):
        while start == end:
            if not around:
                return Counted(total, outside)
            rules, end = around.pop()
        key = data[start]
        start += 1
        if key >= 0x80:
            key, start = _varint(data, start - 1, 5)
        rule = rules.get(key)
        wire = key & 7
        if wire == _BYTES:
            size = data[start]
            start += 1
            if size >= 0x80:
                size, start = _varint(data, start - 1, 5)
            if rule is not None and rule.inner is not None:
                total += rule.cost
                outside = outside or rule.outside
                if len(around) == MAX_DEPTH:
                    raise InputError(f"nests the messages of an ONNX file deeper than {MAX_DEPTH}; export it again")
                around.append((rules, end))
                end, stop = start + size, end
                rules = rule.inner.rules
                if end > stop:
                    raise WireError("has a message that reaches beyond the one around it")
            else:
                start += size
                total += _UNKNOWN + 2 * size if rule is None else rule.cost + rule.rate * size
        elif wire == _VARINT:
            first = start
            while data[start] >= 0x80:
                start += 1
            start += 1
            if start - first > 10:
                raise WireError("has a number of more than 64 bits")
            if rule is None:
                total += _UNKNOWN
            else:
                total += rule.cost
                outside = outside or rule.outside
        elif wire in _SIZES:
            start += _SIZES[wire]
            total += _UNKNOWN if rule is None else rule.cost
        else:
            # A group is protobuf's old way to nest messages. No version of ONNX has groups.
            raise WireError("has a group")
        if start > end or key < 8:
            raise WireError("has a field that reaches beyond its message, or has no number")
        if total > limit:
            return Counted(total, outside)
    raise InputError(f"is an ONNX file of more than {MAX_FIELDS:,} fields; export it again")


def _varint(data: bytes, start: int, most: int) -> tuple[int, int]:
    """Read a number of up to ``most`` bytes; return the number and the position after it."""
    value = 0
    for place in range(most):
        byte = data[start + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            if value >= 2**32:
                break
            return value, start + place + 1
    raise WireError("has a number of more than 32 bits")


@cache
def _schema() -> _Kind:
    """Return the schema of the installed onnx, by which protobuf parses."""
    return _kind(ModelProto.DESCRIPTOR, {})


def _kind(descriptor: Descriptor, known: dict[str, _Kind]) -> _Kind:
    found = known.get(descriptor.full_name)
    if found is None:
        found = known[descriptor.full_name] = _Kind({})
        for field in descriptor.fields:
            inner = None if field.message_type is None else _kind(field.message_type, known)
            found.rules.update(_rules(field, inner))
    return found


def _rules(field: Field, inner: _Kind | None) -> dict[int, _Rule]:
    """Return the rules of a field, one for each way in which it may be written."""
    number, wire = field.number << 3, _WIRE.get(field.type, _VARINT)
    outside = field.full_name in _OUTSIDE
    if field.message_type is not None:
        return {number | wire: _Rule(size_of(field.message_type), 0, inner, outside)}
    if wire == _BYTES:
        return {number | wire: _Rule(_STRINGS if field.is_repeated else _STRING, 1, None, outside)}
    single = _Rule(_UNKNOWN if field.enum_type is not None else _ARRAY if field.is_repeated else 0, 0, None, outside)
    # protobuf reads repeated numbers both one by one and packed, whatever the schema says. One byte may become a number
    # of eight bytes, and an array that doubles keeps its earlier halves.
    packed = {number | _BYTES: _Rule(_ARRAY, 3 if wire in _SIZES else 24, None, outside)} if field.is_repeated else {}
    return {number | wire: single, **packed}


def size_of(descriptor: Descriptor) -> int:
    """Return the bytes of memory of an empty message, its place in an array, and the Python object made of it."""
    alternatives = {field.containing_oneof.name: field for field in descriptor.fields if field.containing_oneof}
    fields = [*(field for field in descriptor.fields if not field.containing_oneof), *alternatives.values()]
    strings = sum(_WIRE.get(field.type) == _BYTES and field.message_type is None for field in fields)
    parts = _POINTER * (len(fields) + strings + len(alternatives))
    return _MESSAGE + parts + _ARRAY + _LISTED.get(descriptor.full_name, 0)
