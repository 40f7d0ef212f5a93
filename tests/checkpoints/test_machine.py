"""Pickles that are read without running them: their values, which are those that Python makes of them."""

import pickle
import pickletools
import struct
from typing import Any

import pytest
import torch

from nalu_export.checkpoints import _globals, _instructions
from nalu_export.checkpoints.container import Inert, unpack
from tests.checkpoints.programs import (
    SIXTEEN,
    called,
    name,
    storage_program,
    tensor_program,
    text,
    with_program,
)

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
