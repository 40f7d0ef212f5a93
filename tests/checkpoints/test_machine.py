"""Pickles that torch.save does not write: what they ask for is not done, and what was wrong is said."""

import pickle
import pickletools
import struct
from typing import Any

import pytest
import torch

from nalu_export.checkpoints import _globals, _instructions
from nalu_export.checkpoints.container import Inert, unpack
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


NAMESPACE = Inert("a value of type argparse.Namespace")

GOOD: dict[str, tuple[bytes, Any]] = {
    "protocol 5": (b"\x80\x05\x95\x01\x00\x00\x00\x00\x00\x00\x00N.", None),
    "numbers": (b"(J\xff\xff\xff\xffK\xffM\xff\xffG?\xf0\x00\x00\x00\x00\x00\x00t.", (-1, 255, 65535, 1.0)),
    "long numbers": (b"(\x8a\x00\x8a\x01\xff\x8b\x02\x00\x00\x00\x00\x80L-12L\nI7\nt.", (0, -1, -32768, -12, 7)),
    "old truths": (b"(I00\nI01\nt.", (False, True)),
    "texts": (b"(X\x01\x00\x00\x00a\x8c\x01b\x8d\x01\x00\x00\x00\x00\x00\x00\x00ct.", ("a", "b", "c")),
    "old texts": (b"(U\x01aT\x01\x00\x00\x00bU\x01\xfft.", ("a", "b", b"\xff")),
    "surrogate": (b"X\x03\x00\x00\x00\xed\xa0\x80.", "\ud800"),
    "bytes": (b"(B\x01\x00\x00\x00aC\x01b\x8e\x01\x00\x00\x00\x00\x00\x00\x00ct.", (b"a", b"b", b"c")),
    "writable bytes": (b"\x96\x01\x00\x00\x00\x00\x00\x00\x00d.", b"d"),
    "old bytes": (called("_codecs", "encode", text("\xe9"), text("latin1")) + b".", b"\xe9"),
    "empty containers": (b"(]})(t(l(dt.", ([], {}, (), (), [], {})),
    "containers": (b"((Nl(NNd(Ntt.", ([None], {None: None}, (None,))),
    "tuples": (b"(N\x85NK\x01\x86NK\x01K\x02\x87t.", ((None,), (None, 1), (None, 1, 2))),
    "filled": (b"(](NNe]Na}(K\x01Nu}K\x02Nst.", ([None, None], [None], {1: None}, {2: None})),
    "stack": (b"(NK\x01K\x020(K\x03K\x0412t.", (None, 1, 1)),
    "pop of a mark": (b"(N(0t.", (None,)),
    "memory": (b"(]q\x05r\x00\x01\x00\x00h\x05j\x00\x01\x00\x00N\x94h\x02t.", ([], [], [], None, None)),
    "ordered": (called("collections", "OrderedDict") + text("a") + b"Ns}b.", {"a": None}),
    "ordered, Python 2": (called("collections", "OrderedDict", b"](](", text("a"), b"Nee") + b".", {"a": None}),
    "ordered by tuples": (
        called("collections", "OrderedDict", b"](](", b"N\x85", b"Nee") + b".",
        {Inert("a value of type tuple"): None},
    ),
    "counter": (called("collections", "Counter", b"}K\x05K\x02s") + b".", {5: 2}),
    "default": (called("collections", "defaultdict", name("__builtin__", "list")) + text("a") + b"Ns.", {"a": None}),
    "size": (called("torch", "Size", b"K\x02\x85") + b".", (2,)),
    "bytearray": (called("builtins", "bytearray", b"C\x02ab") + b".", b"ab"),
    "bytearray of a size": (
        called("builtins", "bytearray", b"J\xff\xff\xff\x7f") + b".",
        Inert("a value of type bytes"),
    ),
    "set": (b"\x8f(K\x01\x90.", Inert("a value of type set")),
    "frozenset": (b"(K\x01\x91.", Inert("a value of type frozenset")),
    "namespace": (name("argparse", "Namespace") + b")\x81}" + text("lr") + b"K\x01sb.", NAMESPACE),
    "namespace, keywords": (name("argparse", "Namespace") + b")}\x92.", NAMESPACE),
    "namespace, OBJ": (b"(" + name("argparse", "Namespace") + b"o.", NAMESPACE),
    "namespace, INST": (b"(iargparse\nNamespace\n.", NAMESPACE),
    "namespace, protocol 1": (
        called("copy_reg", "_reconstructor", name("argparse", "Namespace"), name("__builtin__", "object"), b"N") + b".",
        NAMESPACE,
    ),
    "entries of a class of its own": (
        name("easydict", "EasyDict") + b")\x81" + text("a") + b"NsNa.",
        Inert("a value of type easydict.EasyDict"),
    ),
    "omegaconf": (
        name("omegaconf.dictconfig", "DictConfig") + b")\x81}b.",
        Inert("a value of type omegaconf.dictconfig.DictConfig"),
    ),
    "a class as a value": (name("argparse", "Namespace") + b".", Inert("the name argparse.Namespace")),
    "a dtype": (name("torch", "float32") + b".", Inert("the name torch.float32")),
    "a tuple as a key": (b"})Ns.", {Inert("a value of type tuple"): None}),
    "an endless number as a key": (b"}\x8a\x09" + bytes(8) + b"\x01Ns.", {Inert("a value of type int"): None}),
    "a storage": (storage_program() + b".", Inert("a storage")),
    "a lazily negated tensor": (
        called("torch._utils", "_rebuild_tensor_v2", storage_program(), b"K\x00))\x89N}", text("neg"), b"\x88s") + b".",
        Inert("a lazily negated or conjugated tensor"),
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_pickle(case: str) -> None:
    program, expected = GOOD[case]
    found = unpack(with_program(program, **{"0": SIXTEEN})).payload
    assert found == expected
    assert repr(found) == repr(expected)


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


@pytest.mark.parametrize("kind", ["Parameter", "Variable", "Tensor", "typed", "device"])
def test_tensors_in_other_clothes(kind: str) -> None:
    inner = tensor_program(storage_program(), 1, (2,), (2,))
    arguments = inner.removeprefix(b"ctorch._utils\n_rebuild_tensor_v2\n").removesuffix(b"R")
    program = {
        "Parameter": called("torch.nn.parameter", "Parameter", inner, b"\x88") + b"(\x88\x89)tb",
        "Variable": called("torch.autograd.variable", "Variable", inner) + b"(\x88\x89)tb",
        "Tensor": called("torch", "Tensor", inner),
        "typed": called(
            "torch.tensor",
            "_rebuild_from_type_v2",
            name("torch._utils", "_rebuild_tensor_v2") + name("torch.nn.parameter", "Parameter") + arguments + b"}",
        ),
        "device": called("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", inner, name("torch", "float32")),
    }[kind]
    data = with_program(program + b".", **{"0": struct.pack("<4f", 1, 2, 3, 4)})
    assert torch.equal(unpack(data).payload, torch.tensor([2.0, 4.0]))


def test_every_instruction_that_python_writes_is_known_or_refused_on_purpose() -> None:
    unknown = {code.name for code in pickletools.opcodes if _instructions.HANDLERS[ord(code.code)] is None}
    text_only = {"PERSID", "STRING", "UNICODE", "FLOAT", "PUT", "GET"}  # protocol 0, which cannot refer to storages
    assert unknown == text_only | {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "STOP"}


def test_no_name_stands_for_what_could_be_called() -> None:
    """The table has dtypes and the like, never a function or class of Python, torch or numpy."""
    for full, found in _globals._KNOWN.items():
        assert found.name == full
        assert not callable(found.value)
        assert full.split(".")[0] not in {"os", "posix", "nt", "sys", "subprocess", "shutil", "importlib"}


# Python's own machine needs no more than plain data for these.
PLAIN = [case for case, (program, _) in GOOD.items() if not set(program) & set(b"cioQ\x8f\x90\x91")]


@pytest.mark.parametrize("case", PLAIN)
def test_plain_data_is_what_python_makes_of_it(case: str) -> None:
    program, expected = GOOD[case]
    found = pickle.loads(program, encoding="utf-8", errors="strict") if case != "old texts" else expected
    found = bytes(found) if isinstance(found, bytearray) else found
    if "as a key" not in case:
        assert repr(found) == repr(expected)


def test_enough_of_them_are_plain() -> None:
    assert len(PLAIN) > 12
