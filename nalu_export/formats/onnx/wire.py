"""What protobuf would make of an ONNX file, counted on its bytes before any of it is made.

An empty message takes two bytes of a file and up to 300 of memory, so a file is walked by the schema of ONNX first.
Contents of strings and of ``raw_data`` are passed over: a file of weights has few fields, however large it is.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor import FieldDescriptor as Field
from onnx import ModelProto

from nalu_export.errors import InputError

# Reading may take 64 times the size of a file and 64 MiB. The rest is for the bytes themselves and what is done later.
MAX_MULTIPLE, MAX_SPARE = 48, 48 * 2**20
# A field takes some 0.3 µs here. Files of torch.onnx have 30 to 100 for each node.
MAX_FIELDS = 4_000_000
# protobuf's own limit.
MAX_DEPTH = 100

# Bytes of memory in protobuf's C implementation (upb), rounded up; tests/formats/onnx/test_wire.py measures them.
# The parts of a message are 4 to 16 bytes each. An array begins with a header and room for four, and doubles.
_MESSAGE, _POINTER, _STRING, _ARRAY, _STRINGS = 32, 8, 16, 64, 96
# What is kept of a field that the schema does not know, and of a number that an enumeration does not have.
_UNKNOWN = 96
# What this package keeps of each in Python, where it lists them: a specification, an array under a name, a text.
_LISTED = {"onnx.ValueInfoProto": 160, "onnx.TensorProto": 300, "onnx.StringStringEntryProto": 200}
# Where a tensor says that its bytes are in another file.
_OUTSIDE = ("onnx.TensorProto.external_data", "onnx.TensorProto.data_location")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_WIRE = {
    **dict.fromkeys((Field.TYPE_DOUBLE, Field.TYPE_FIXED64, Field.TYPE_SFIXED64), _FIXED64),
    **dict.fromkeys((Field.TYPE_FLOAT, Field.TYPE_FIXED32, Field.TYPE_SFIXED32), _FIXED32),
    **dict.fromkeys((Field.TYPE_STRING, Field.TYPE_BYTES, Field.TYPE_MESSAGE), _BYTES),
}


class WireError(ValueError):
    """The bytes are no message of protobuf."""


class _Rule(NamedTuple):
    """What a field costs.

    Attributes:
        cost: bytes of memory for each.
        rate: bytes of memory for each byte of what it holds.
        inner: what its content is, where that is a message.
        outside: whether it says of a tensor where its bytes are.
    """

    cost: int
    rate: int
    inner: "_Kind | None"
    outside: bool


@dataclass
class _Kind:
    """One kind of message: rules by the number on the wire, which is that of the field and how it is written."""

    rules: dict[int, _Rule]


class Counted(NamedTuple):
    """What is in a file.

    Attributes:
        memory: bytes that protobuf takes for it at the most.
        outside: whether a tensor says where its bytes are, which may be another file.
    """

    memory: int
    outside: bool


def refuse_large(data: bytes) -> Counted:
    """Refuse a file of which protobuf would make more than a file of its size may take.

    Args:
        data: the file.

    Returns:
        What is in it.

    Raises:
        WireError: it is no message of protobuf at all.
        InputError: it would take more than 48 times its size and 48 MiB of memory, or has more than 4,000,000 fields or
            messages in messages more than 100 deep.
    """
    limit = MAX_MULTIPLE * len(data) + MAX_SPARE
    try:
        found = counted(data, limit)
        if found.memory > limit:
            raise InputError(
                f"is an ONNX file of {len(data):,} bytes that would take more than {limit:,} of memory; export it again"
            )
    except IndexError as error:
        raise WireError("ends within a field") from error
    return found


def counted(data: bytes, limit: int = 2**62) -> Counted:
    """What is in a file.

    Args:
        data: the file.
        limit: of memory, where counting ends.

    Raises:
        WireError, IndexError: it is no message of protobuf.
        InputError: it has too many fields, or messages too deep in one another.
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
            # No version of ONNX has groups, which is how protobuf nested messages once.
            raise WireError("has a group")
        if start > end or key < 8:
            raise WireError("has a field that reaches beyond its message, or has no number")
        if total > limit:
            return Counted(total, outside)
    raise InputError(f"is an ONNX file of more than {MAX_FIELDS:,} fields; export it again")


def _varint(data: bytes, start: int, most: int) -> tuple[int, int]:
    """A number of at most as many bytes, and where it ends."""
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
    """That of the onnx that is installed, which is what protobuf parses by."""
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
    """The rules of a field, for each way in which it may be written."""
    number, wire = field.number << 3, _WIRE.get(field.type, _VARINT)
    outside = field.full_name in _OUTSIDE
    if field.message_type is not None:
        return {number | wire: _Rule(size_of(field.message_type), 0, inner, outside)}
    if wire == _BYTES:
        return {number | wire: _Rule(_STRINGS if field.is_repeated else _STRING, 1, None, outside)}
    single = _Rule(_UNKNOWN if field.enum_type is not None else _ARRAY if field.is_repeated else 0, 0, None, outside)
    # Numbers are taken one by one and packed, whatever the schema says. A number may be a byte and become eight, and an
    # array that doubles leaves its halves behind.
    packed = {number | _BYTES: _Rule(_ARRAY, 3 if wire in _SIZES else 24, None, outside)} if field.is_repeated else {}
    return {number | wire: single, **packed}


def size_of(descriptor: Descriptor) -> int:
    """Bytes of memory of an empty message, with its place in an array and what this package keeps of it."""
    alternatives = {field.containing_oneof.name: field for field in descriptor.fields if field.containing_oneof}
    fields = [*(field for field in descriptor.fields if not field.containing_oneof), *alternatives.values()]
    strings = sum(_WIRE.get(field.type) == _BYTES and field.message_type is None for field in fields)
    parts = _POINTER * (len(fields) + strings + len(alternatives))
    return _MESSAGE + parts + _ARRAY + _LISTED.get(descriptor.full_name, 0)
