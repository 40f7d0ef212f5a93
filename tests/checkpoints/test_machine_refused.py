"""Pickles that torch.save does not write: what they ask for is not done, and what was wrong is said."""

import pytest

from nalu_export.checkpoints.container import unpack
from tests.checkpoints.programs import (
    DAMAGED,
    INSTEAD,
    SIXTEEN,
    called,
    name,
    refused,
    storage_program,
    tensor_program,
    text,
    under,
    with_program,
)

NEVER = ", which torch.save never writes; copy or download it again"
BEYOND = ", which reaches beyond its storage of 4 elements; the file is damaged; copy or download it again"
DEEP = f"nests its values deeper than 500; {INSTEAD}"
TRUST = "or give trust=True if you made it yourself"


def code(name: str) -> str:
    return f"holds Python objects ({name}), and loading it would run code; {INSTEAD}"


def module(name: str) -> str:
    return f"is a pickled module ({name}), which runs code when loaded; {INSTEAD}, {TRUST}"


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", DAMAGED + "ends too early; copy or download it again"),
    "no end": (b"\x80\x02}", DAMAGED + "ends too early; copy or download it again"),
    "nothing made": (
        b"\x80\x02.",
        DAMAGED + "takes more from its stack than the stack holds; copy or download it again",
    ),
    "protocol 6": (b"\x80\x06}.", DAMAGED + "is in a protocol later than 5; copy or download it again"),
    "cut in a number": (b"J\x01\x02", DAMAGED + "ends too early; copy or download it again"),
    "cut in a text": (b"X\x05\x00\x00\x00ab", DAMAGED + "ends too early; copy or download it again"),
    "cut in a name": (b"ctorch\nFloat", DAMAGED + "ends too early; copy or download it again"),
    "huge text": (b"X\xff\xff\xff\xffab.", DAMAGED + "ends too early; copy or download it again"),
    "huge bytes": (b"\x8e" + b"\xff" * 8 + b"ab.", DAMAGED + "ends too early; copy or download it again"),
    "text of negative size": (b"T\xff\xff\xff\xffab.", DAMAGED + "ends too early; copy or download it again"),
    "not UTF-8": (b"X\x01\x00\x00\x00\xff.", DAMAGED + "has a text that is not UTF-8; copy or download it again"),
    "name not UTF-8": (b"c\xff\nx\n.", DAMAGED + "has a text that is not UTF-8; copy or download it again"),
    "unknown instruction": (b"\xee.", DAMAGED + "has the instruction 0xee at 0" + NEVER),
    "extension": (b"\x82\x01.", DAMAGED + "has the instruction 0x82 at 0" + NEVER),
    "buffer": (b"\x97.", DAMAGED + "has the instruction 0x97 at 0" + NEVER),
    "text of protocol 0": (b"S'a'\n.", DAMAGED + "has the instruction 0x53 at 0" + NEVER),
    "persistent id of protocol 0": (
        b"P0\n.",
        DAMAGED + "has the instruction 0x50 at 0" + NEVER,
    ),
    "no mark": (b"Nt.", DAMAGED + "takes more from its stack than the stack holds; copy or download it again"),
    "pair of one": (b"N\x86.", DAMAGED + "takes more from its stack than the stack holds; copy or download it again"),
    "never remembered": (b"h\x07.", DAMAGED + "reads a memo entry that it did not write; copy or download it again"),
    "remembers nothing": (
        b"q\x07.",
        DAMAGED + "takes more from its stack than the stack holds; copy or download it again",
    ),
    "key without value": (b"}(Nu.", DAMAGED + "has a key without a value; copy or download it again"),
    "entry of a number": (
        b"NNNs.",
        DAMAGED + "adds entries to something that is not a dictionary; copy or download it again",
    ),
    "append to a dictionary": (
        b"}Na.",
        DAMAGED + "adds entries to something that is not a list; copy or download it again",
    ),
    "add to a list": (b"](N\x90.", DAMAGED + "adds entries to something that is not a set; copy or download it again"),
    "attributes of a number": (b"N}b.", DAMAGED + "sets attributes of a plain value; copy or download it again"),
    "calls a number": (b"N)R.", DAMAGED + "calls something that is not a function; copy or download it again"),
    "object of nothing": (b"(o.", DAMAGED + "calls something that is not a function; copy or download it again"),
    "long number": (
        b"\x8b\x00\x01\x00\x00" + bytes(256) + b".",
        DAMAGED + "has a number of more than 255 bytes; copy or download it again",
    ),
    "many digits": (
        b"L" + b"9" * 256 + b"L\n.",
        DAMAGED + "has a number of more than 255 bytes; copy or download it again",
    ),
    "no digits": (b"Ix\n.", DAMAGED + "has a number that cannot be read; copy or download it again"),
    "name that is no text": (b"NN\x93.", DAMAGED + "has a name that is not a text; copy or download it again"),
    "reference": (b"NQ.", DAMAGED + "refers to something other than the bytes of a tensor; copy or download it again"),
    "reference to a module": (
        b"(" + text("module") + b"NNNtQ.",
        DAMAGED + "refers to something other than the bytes of a tensor; copy or download it again",
    ),
    "storage of no type": (
        b"(" + text("storage") + b"N" + text("0") + b"NK\x01tQ.",
        DAMAGED + "refers to the bytes of a tensor without their type, key or size; copy or download it again",
    ),
    "storage of negative size": (
        storage_program(count=-1) + b".",
        DAMAGED + "refers to the bytes of a tensor without their type, key or size; copy or download it again",
    ),
    "storage with a view in a zip": (
        storage_program(view=b"N") + b".",
        DAMAGED + "refers to its bytes in a way that torch.save never does; copy or download it again",
    ),
    "storage of two types": (
        b"(" + storage_program() + storage_program(kind="torch IntStorage") + b"t.",
        DAMAGED + "gives the storage '0' two types or sizes; copy or download it again",
    ),
    "storage of two sizes": (
        b"(" + storage_program() + storage_program(count=3) + b"t.",
        DAMAGED + "gives the storage '0' two types or sizes; copy or download it again",
    ),
    "tensor of no storage": (
        tensor_program(b"N", 0, (1,), (1,)) + b".",
        DAMAGED + "makes a tensor of something that is not a storage, or with something that is not a dtype; "
        "copy or download it again",
    ),
    "tensor of too little": (
        called("torch._utils", "_rebuild_tensor_v2", b"N"),
        DAMAGED + "calls torch._utils._rebuild_tensor_v2 with arguments that it does not take; copy or "
        "download it again",
    ),
    "tensor of no dtype": (
        called("torch._utils", "_rebuild_tensor_v3", storage_program(), b"K\x00))\x89N", name("torch", "device"))
        + b".",
        DAMAGED + "makes a tensor of something that is not a storage, or with something that is not a dtype; "
        "copy or download it again",
    ),
    "arguments that are none": (
        name("torch._utils", "_rebuild_tensor_v2") + b"NR.",
        DAMAGED + "calls torch._utils._rebuild_tensor_v2 without arguments; copy or download it again",
    ),
    "parameter of a number": (
        called("torch._utils", "_rebuild_parameter", b"K\x01") + b".",
        DAMAGED + "makes a parameter of something that is not a tensor; copy or download it again",
    ),
    "typed tensor of itself": (
        called("torch._tensor", "_rebuild_from_type_v2", name("torch._tensor", "_rebuild_from_type_v2"), b"N)N") + b".",
        DAMAGED + "makes a tensor with something that is not a function for tensors; copy or download it again",
    ),
    "object of no class": (
        called("copy_reg", "_reconstructor", b"NNN") + b".",
        DAMAGED + "makes an object of something that is not a class; copy or download it again",
    ),
    "encoding of a number": (
        called("_codecs", "encode", b"N", text("latin1")) + b".",
        DAMAGED + "encodes something that is not a text; copy or download it again",
    ),
    "encoding by name": (
        called("_codecs", "encode", text("a"), text("rot13")) + b".",
        DAMAGED + "encodes something that is not a text; copy or download it again",
    ),
    "dictionary of a number": (
        called("collections", "OrderedDict", b"K\x01") + b".",
        DAMAGED + "makes a dictionary of something that is not a list of pairs; copy or download it again",
    ),
    "os.system": (called("os", "system", text("true")) + b".", code("os.system")),
    "posix.system on the stack": (
        text("posix") + text("system") + b"\x93.",
        code("posix.system"),
    ),
    "eval": (called("__builtin__", "eval", text("1")) + b".", code("__builtin__.eval")),
    "getattr": (name("builtins", "getattr") + b".", code("builtins.getattr")),
    "INST": (b"(ios\nsystem\n.", code("os.system")),
    "dotted name": (name("torch", "_utils.os.system") + b".", code("torch._utils.os.system")),
    "partial": (name("functools", "partial") + b".", code("functools.partial")),
    "torch.load": (
        name("torch.serialization", "load") + b".",
        code("torch.serialization.load"),
    ),
    "torch.hub": (name("torch.hub", "load") + b".", code("torch.hub.load")),
    "numpy file": (
        name("numpy.core.multiarray", "fromfile") + b".",
        code("numpy.core.multiarray.fromfile"),
    ),
    "line feed in a name": (
        text("a\nb") + text("c\x1b[0m") + b"\x93.",
        code(r"a\nb.c\x1b[0m"),
    ),
    "endless name": (name("a" * 5000, "b") + b".", code("a" * 200)),
    "class beside weights": (
        under("x", name("my.code", "Model") + b")\x81"),
        code("my.code.Model"),
    ),
    "module": (
        b"\x80\x02" + name("my.code", "Model") + b"q\x00)\x81.",
        module("my.code.Model"),
    ),
    "module, many names": (
        b"\x80\x02" + name("my.code", "Model") + b"r\x00\x01\x00\x00)\x81.",
        module("my.code.Model"),
    ),
    "record missing": (
        under("w", tensor_program(storage_program("7"), 0, (4,), (1,))),
        "has 'w' whose bytes, the member 'data/7', are missing; the file is damaged; copy or download it again",
    ),
    "record too short": (
        under("w", tensor_program(storage_program(count=5), 0, (5,), (1,))),
        "has 'w' that needs 20 bytes, but its member 'data/0' has 16; the file is damaged; copy or download it again",
    ),
    "record too long": (
        under("w", tensor_program(storage_program(count=3), 0, (3,), (1,))),
        "has 'w' that needs 12 bytes, but its member 'data/0' has 16; the file is damaged; copy or download it again",
    ),
    "parameter with a short record": (
        under(
            "w",
            name("torch._utils", "_rebuild_parameter")
            + b"("
            + tensor_program(storage_program(count=5), 0, (5,), (1,))
            + b"\x88NtR",
        ),
        "has 'w' that needs 20 bytes, but its member 'data/0' has 16; the file is damaged; copy or download it again",
    ),
    "tensor without a name": (
        tensor_program(storage_program("7"), 0, (4,), (1,)) + b".",
        "has a tensor whose bytes, the member 'data/7', are missing; the file is damaged; copy or download it again",
    ),
    "beyond the storage": (
        under("w", tensor_program(storage_program(), 1, (2, 2), (2, 1))),
        "has 'w' of shape (2, 2) and strides (2, 1) at 1" + BEYOND,
    ),
    "empty, far beyond": (
        under("w", tensor_program(storage_program(), 5, (0,), (1,))),
        "has 'w' of shape (0,) and strides (1,) at 5" + BEYOND,
    ),
    "negative size": (
        under("w", tensor_program(storage_program(), 0, (-1,), (1,))),
        "has 'w' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "negative stride": (
        under("w", tensor_program(storage_program(), 3, (4,), (-1,))),
        "has 'w' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "negative offset": (
        under("w", tensor_program(storage_program(), -4, (4,), (1,))),
        "has 'w' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "more than can be counted": (
        under("w", tensor_program(storage_program(), 0, (2**40, 2**40), (0, 0))),
        "has 'w' with more elements than can be counted; the file is damaged; copy or download it again",
    ),
    "many dimensions": (
        under("w", tensor_program(storage_program(), 0, (1,) * 65, (0,) * 65)),
        "has 'w' whose sizes and strides differ in number, or are more than 64; the file is damaged; "
        "copy or download it again",
    ),
    "strides missing": (
        under("w", tensor_program(storage_program(), 0, (1, 1), (0,))),
        "has 'w' whose sizes and strides differ in number, or are more than 64; the file is damaged; "
        "copy or download it again",
    ),
    "contains itself": (b"]q\x00h\x00a.", DEEP),
    "contains itself, through others": (b"]q\x00(}K\x01h\x00sN\x86e.", DEEP),
    "nested in tuples": (b")" + b"\x85" * 501 + b".", DEEP),
    "nested where it is referred to": (b"](N" + b"\x85" * 300 + b"q\x05h\x05" + b"\x85" * 200 + b"e.", DEEP),
    "nested in steps": (b"](N" + b"\x85" * 200 + b"q\x05h\x05\x85q\x06h\x06" + b"\x85" * 299 + b"e.", DEEP),
    "saved by pickle.dump": (
        called("torch.storage", "_load_from_bytes", b"C\x01a") + b".",
        "was written by pickle.dump, not torch.save; use torch.save(model.state_dict(), path)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pickle(case: str) -> None:
    program, expected = BAD[case]
    assert refused(with_program(program, **{"0": SIXTEEN})) == expected


def test_nested_where_it_is_referred_to_but_not_deeper_than_500() -> None:
    """One less than in the two cases above."""
    for program in (
        b"](N" + b"\x85" * 300 + b"q\x05h\x05" + b"\x85" * 199 + b"e.",
        b"](N" + b"\x85" * 200 + b"q\x05h\x05\x85q\x06h\x06" + b"\x85" * 298 + b"e.",
    ):
        assert type(unpack(with_program(program)).payload) is list


def test_500_deep() -> None:
    found, depth = unpack(with_program(b"N" + b"\x85" * 500 + b".")).payload, 0
    while found is not None:
        (found,), depth = found, depth + 1
    assert depth == 500
