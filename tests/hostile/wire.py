"""ONNX files byte by byte, as no library writes them: a field is its number and its kind, then what it holds."""

from collections.abc import Sequence

#: An ir_version, with which an ONNX file begins.
START = b"\x08\x08"


def varint(value: int) -> bytes:
    """A number, seven bits in each byte."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field: int, value: int = 0) -> bytes:
    """A field that holds a number."""
    return varint(field << 3) + varint(value)


def field(number: int, content: bytes = b"") -> bytes:
    """A field that holds a text, a message, or numbers in a row."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def group(number: int, content: bytes = b"") -> bytes:
    """A field that holds a group, as protobuf nested messages in its first years."""
    return varint(number << 3 | 3) + content + varint(number << 3 | 4)


def within(way: Sequence[int], content: bytes) -> bytes:
    """A file with this content in the message to which these fields lead."""
    for each in reversed(way):
        content = field(each, content)
    return START + content


def nested(way: Sequence[int], times: int) -> bytes:
    """What these fields lead to, in itself as often, which takes time that grows with the square of the depth."""
    content = b""
    for _ in range(times):
        for each in reversed(way):
            content = field(each, content)
    return content


# Of the fields of ONNX: what leads from the file to a graph, a node, an attribute and an initializer.
GRAPH, NODE, ATTRIBUTE, TENSOR = (7,), (7, 1), (7, 1, 5), (7, 5)

#: Fields of which each takes few bytes of a file and many of memory: where they stand, and one of them.
EMPTY: dict[str, tuple[tuple[int, ...], bytes]] = {
    "nodes": (GRAPH, field(1)),
    "nodes with a field that is not known": (GRAPH, field(1, number(200))),
    "nodes with a name for an input": (GRAPH, field(1, field(1))),
    "attributes": (NODE, field(5)),
    "attributes with an empty graph": (NODE, field(5, field(6))),
    "attributes with an empty tensor": (NODE, field(5, field(5))),
    "attributes with an empty sparse tensor": (NODE, field(5, field(22))),
    "attributes with an empty type": (NODE, field(5, field(14))),
    "attributes with one integer": (NODE, field(5, number(8))),
    "attributes with one text": (NODE, field(5, field(9))),
    "attributes of an unknown type": (NODE, field(5, number(20, 99))),
    "graphs": (ATTRIBUTE, field(11)),
    "tensors in attributes": (ATTRIBUTE, field(10)),
    "sparse tensors in attributes": (ATTRIBUTE, field(23)),
    "types in attributes": (ATTRIBUTE, field(15)),
    "texts": (ATTRIBUTE, field(9)),
    "texts of a letter": (ATTRIBUTE, field(9, b"a")),
    "integers": (ATTRIBUTE, number(8)),
    "integers in a row": (ATTRIBUTE, field(8, b"\0")),
    "a hundred integers in a row": (ATTRIBUTE, field(8, bytes(100))),
    "a hundred floats in a row": (ATTRIBUTE, field(7, bytes(400))),
    "a hundred numbers of a tensor in a row": (TENSOR, field(5, bytes(100))),
    "a hundred bytes of a tensor": (GRAPH, field(5, field(9, bytes(100)))),
    "floats": (ATTRIBUTE, b"\x3d\0\0\0\0"),
    "initializers": (GRAPH, field(5)),
    "initializers of one size": (GRAPH, field(5, number(1))),
    "sizes": (TENSOR, number(1)),
    "segments": (GRAPH, field(5, field(3))),
    "external data": (TENSOR, field(13)),
    "sparse initializers": (GRAPH, field(15)),
    "values": (GRAPH, field(13)),
    "inputs": (GRAPH, field(11)),
    "outputs": (GRAPH, field(12)),
    "values with an empty type": (GRAPH, field(13, field(2))),
    "values with an empty tensor type": (GRAPH, field(13, field(2, field(1)))),
    "values with an empty shape": (GRAPH, field(13, field(2, field(1, field(2))))),
    "values with a sequence": (GRAPH, field(13, field(2, field(4, field(1))))),
    "values with a map": (GRAPH, field(13, field(2, field(5, field(2))))),
    "values with two types": (GRAPH, field(13, field(2, field(1) + field(4)))),
    "axes": ((7, 11, 2, 1, 2), field(1)),
    "annotations": (GRAPH, field(14)),
    "metadata of a graph": (GRAPH, field(16)),
    "metadata of nodes": (NODE, field(9)),
    "metadata": ((), field(14)),
    "functions": ((), field(25)),
    "attributes of functions": ((25,), field(11)),
    "training": ((), field(20)),
    "training with two graphs": ((), field(20, field(1) + field(2))),
    "operator sets": ((), field(8)),
    "configurations": ((), field(26)),
    "configurations of nodes": (NODE, field(10)),
    "names of producers": ((), field(2, b"a")),
    "fields that are not known": ((), number(200)),
    "texts that are not known": (GRAPH, field(200, b"a")),
    "numbers for graphs": ((), number(7)),
}
