"""Malformed and hostile pickles in files of torch.save, old and new."""

import pickle
import struct

import torch

from tests.checkpoints import files
from tests.checkpoints.programs import (
    called,
    legacy_with_program,
    name,
    number,
    storage_program,
    tensor_program,
    text,
    under,
    with_program,
)
from tests.hostile.case import EXPORT, Case, Table

RUN = "touch executed"


def of(program: bytes, **storages: bytes) -> bytes:
    """A checkpoint with a dictionary of one entry, which this program makes."""
    return with_program(under("layers.0.W_hat", program), **storages)


def weight(offset: int = 0, size: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,), count: int = 4) -> bytes:
    """A checkpoint of one tensor in a storage of 16 bytes."""
    return of(tensor_program(storage_program(count=count), offset, size, stride), **{"0": bytes(16)})


def legacy(cut: int | None = None) -> bytes:
    """A checkpoint of 2018 with a NAC, or the first part of one."""
    torch.manual_seed(0)
    return files.torch_bytes(files.nac_state(), legacy=True)[:cut]


def legacy_of(payload: bytes, keys: bytes, behind: bytes = b"") -> bytes:
    """A legacy file with this pickle, list of storages and bytes behind."""
    return legacy_with_program(payload)[: -len(pickle.dumps([], 2))] + keys + behind


def one_weight() -> bytes:
    """The pickle of a legacy file of one tensor."""
    return under("W", tensor_program(storage_program(view=b"N"), 0, (4,), (1,)))


PICKLES: Table = {
    "runs a command": Case(
        lambda: files.evil(RUN),
        "holds Python objects (posix.system), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "runs a command, legacy": Case(
        lambda: files.evil(RUN, legacy=True),
        "holds Python objects (posix.system), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "runs a command, bare": Case(
        lambda: files.evil(RUN, bare=True),
        "holds Python objects (posix.system), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "evaluates": Case(
        lambda: of(called("builtins", "eval", text("__import__('os').system('touch executed')"))),
        "holds Python objects (builtins.eval), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "evaluates, Python 2": Case(
        lambda: of(called("__builtin__", "eval", text("__import__('os').system('touch executed')"))),
        "holds Python objects (__builtin__.eval), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "finds its function by attributes": Case(
        lambda: of(called("builtins", "getattr", name("builtins", "dict"), text("__class__"))),
        "holds Python objects (builtins.getattr), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "calls what is dotted": Case(
        lambda: of(text("torch") + text("serialization.os.system") + b"\x93" + text(RUN) + b"\x85R"),
        "holds Python objects (torch.serialization.os.system), and loading it would run code; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "runs a command by INST": Case(
        lambda: of(b"(" + text(RUN) + b"iposix\nsystem\n"),
        "holds Python objects (posix.system), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "runs a command by OBJ": Case(
        lambda: of(b"(" + name("posix", "system") + text(RUN) + b"o"),
        "holds Python objects (posix.system), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "runs a command as a class of tensors": Case(
        lambda: of(
            called("torch._tensor", "_rebuild_from_type_v2", name("posix", "system"), b"N", text(RUN) + b"\x85", b"N")
        ),
        "holds Python objects (posix.system), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "loads a pickle in a pickle": Case(
        lambda: of(called("torch.storage", "_load_from_bytes", b"C\x06\x80\x02}s.x")),
        "was written by pickle.dump, not torch.save; use torch.save(model.state_dict(), path)",
    ),
    "opens a connection": Case(
        lambda: of(called("urllib.request", "urlopen", text("http://localhost/"))),
        "holds Python objects (urllib.request.urlopen), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "writes a file": Case(
        lambda: of(called("builtins", "open", text("executed"), text("w"))),
        "holds Python objects (builtins.open), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "imports a module of that name": Case(
        lambda: of(name("antigravity", "fly")),
        "holds Python objects (antigravity.fly), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a name with escape sequences": Case(
        lambda: of(name("\x1b[2J", "\x1b]0;title\x07")),
        "holds Python objects (\\x1b[2J.\\x1b]0;title\\x07), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "takes its name from numbers": Case(
        lambda: of(number(1) + number(2) + b"\x93"),
        "is damaged or not a file of torch.save: its pickle has a name that is not a text; copy or download it again",
    ),
    "a whole module": Case(
        files.whole_module,
        "is a pickled module (torch.nn.modules.container.Sequential), which runs code when "
        "loaded; save model.state_dict() or use nalu_export.save(model, path), or give --trust "
        "if you made it yourself",
    ),
    "a whole module, legacy": Case(
        lambda: files.torch_bytes(torch.nn.Linear(2, 2), legacy=True),
        "is a pickled module (torch.nn.modules.linear.Linear), which runs code when loaded; save "
        "model.state_dict() or use nalu_export.save(model, path), or give --trust if you made it "
        "yourself",
    ),
    "an extension code": Case(
        lambda: of(b"\x82\x01"),
        "is damaged or not a file of torch.save: its pickle has the instruction 0x82 at 20, "
        "which torch.save never writes; copy or download it again",
    ),
    "an instruction that there is none of": Case(
        lambda: of(b"\xff"),
        "is damaged or not a file of torch.save: its pickle has the instruction 0xff at 20, "
        "which torch.save never writes; copy or download it again",
    ),
    "protocol 6": Case(
        lambda: with_program(b"\x80\x06}."),
        "is damaged or not a file of torch.save: its pickle is in a protocol later than 5; copy or download it again",
    ),
    "no end": Case(
        lambda: with_program(b"\x80\x02}"),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "an empty stack": Case(
        lambda: with_program(b"\x80\x02."),
        "is damaged or not a file of torch.save: its pickle takes more from its stack than the stack holds; "
        "copy or download it again",
    ),
    "a text longer than the file": Case(
        lambda: with_program(b"\x80\x02X\xff\xff\xff\x7fabc."),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "bytes of 2**62": Case(
        lambda: with_program(b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"."),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "a negative size": Case(
        lambda: with_program(b"\x80\x02T" + struct.pack("<i", -5) + b"abc."),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "a text that is not UTF-8": Case(
        lambda: with_program(b"\x80\x02X\x02\0\0\0\xff\xfe."),
        "is damaged or not a file of torch.save: its pickle has a text that is not UTF-8; copy or download it again",
    ),
    "a number of a million digits": Case(
        lambda: of(b"L" + b"9" * 10**6 + b"L\n"),
        "is damaged or not a file of torch.save: its pickle has a number of more than 255 bytes; "
        "copy or download it again",
    ),
    "a number that is none": Case(
        lambda: of(b"I0x10\n"),
        "is damaged or not a file of torch.save: its pickle has a number that cannot be read; copy "
        "or download it again",
    ),
    "what was never remembered": Case(
        lambda: of(b"h\x07"),
        "is damaged or not a file of torch.save: its pickle reads a memo entry that it did not write; "
        "copy or download it again",
    ),
    "a million empty lists": Case(
        lambda: with_program(b"(" + b"]" * 1_000_001 + b"t."),
        "holds more than 1,000,000 values besides its tensors; save model.state_dict() or use "
        "nalu_export.save(model, path)",
        EXPORT[:1],
    ),
    "a list in itself": Case(
        lambda: of(b"]q\x00h\x00a"),
        "nests its values deeper than 500; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "lists in lists": Case(
        lambda: of(b"]" * 600 + b"a" * 599),
        "nests its values deeper than 500; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a billion laughs": Case(
        lambda: of(b"]q\x00" + b"".join(b"0](%seq%c" % (b"h%c" % k * 99, k + 1) for k in range(9))),
        "has 'layers.0.W_hat' of type list; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a persistent id of something else": Case(
        lambda: of(text("storage") + b"Q"),
        "is damaged or not a file of torch.save: its pickle refers to something other than the bytes of a tensor; "
        "copy or download it again",
    ),
    "a storage without a type": Case(
        lambda: of(storage_program(kind="collections OrderedDict")),
        "is damaged or not a file of torch.save: its pickle refers to the bytes of a tensor "
        "without their type, key or size; copy or download it again",
    ),
    "a storage of a negative size": Case(
        lambda: of(storage_program(count=-1)),
        "is damaged or not a file of torch.save: its pickle refers to the bytes of a tensor "
        "without their type, key or size; copy or download it again",
    ),
    "a storage of 2**57 elements": Case(
        lambda: weight(count=2**57),
        "has 'layers.0.W_hat' that needs 576,460,752,303,423,488 bytes, but its member 'data/0' "
        "has 16; the file is damaged; copy or download it again",
    ),
    "a tensor larger than its storage": Case(
        lambda: weight(size=(5,)),
        "has 'layers.0.W_hat' of shape (5,) and strides (1,) at 0, which reaches beyond its "
        "storage of 4 elements; the file is damaged; copy or download it again",
    ),
    "a tensor behind its storage": Case(
        lambda: weight(offset=4, size=(1,)),
        "has 'layers.0.W_hat' of shape (1,) and strides (1,) at 4, which reaches beyond its "
        "storage of 4 elements; the file is damaged; copy or download it again",
    ),
    "a negative offset": Case(
        lambda: weight(offset=-1),
        "has 'layers.0.W_hat' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "a negative stride": Case(
        lambda: weight(stride=(-1,)),
        "has 'layers.0.W_hat' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "a negative size of a tensor": Case(
        lambda: weight(size=(-4,)),
        "has 'layers.0.W_hat' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "a size of 2**63": Case(
        lambda: weight(size=(2**63, 2), stride=(0, 0)),
        "has 'layers.0.W_hat' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "more elements than can be counted": Case(
        lambda: weight(size=(2**30, 2**30), stride=(0, 0)),
        "has 'layers.0.W_hat' with more elements than can be counted; the file is damaged; copy or download it again",
    ),
    "65 dimensions": Case(
        lambda: weight(size=(1,) * 65, stride=(1,) * 65),
        "has 'layers.0.W_hat' whose sizes and strides differ in number, or are more than 64; the file is damaged; "
        "copy or download it again",
    ),
    "more sizes than strides": Case(
        lambda: weight(size=(2, 2), stride=(1,)),
        "has 'layers.0.W_hat' whose sizes and strides differ in number, or are more than 64; the file is damaged; "
        "copy or download it again",
    ),
    "one number for ten gigabytes": Case(
        lambda: weight(size=(50_000, 50_000), stride=(0, 0)),
        "has tensors of 10,000,000,000 bytes in a file of 435 bytes, as expanded tensors have; save "
        "them after .contiguous()",
    ),
    "a tensor without arguments": Case(
        lambda: of(called("torch._utils", "_rebuild_tensor_v2")),
        "is damaged or not a file of torch.save: its pickle calls "
        "torch._utils._rebuild_tensor_v2 with arguments that it does not take; copy or download it again",
    ),
    "a call of a number": Case(
        lambda: of(number(1) + b")R"),
        "is damaged or not a file of torch.save: its pickle calls something that is not a function; "
        "copy or download it again",
    ),
    "a key without a value": Case(
        lambda: with_program(b"\x80\x02}(" + text("W") + b"u."),
        "is damaged or not a file of torch.save: its pickle has a key without a value; copy or download it again",
    ),
    "a pickle that torch did not write": Case(
        lambda: pickle.dumps({"W": [1.0]}, 2),
        "is a pickle but not a file of torch.save; use torch.save(model.state_dict(), path)",
    ),
    "legacy, cut in its magic number": Case(
        lambda: legacy(8),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "legacy, cut in its pickle": Case(
        lambda: legacy(300),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "legacy, cut before its weights": Case(
        lambda: legacy(legacy().rindex(b"e.") + 2),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "legacy, cut in a weight": Case(
        lambda: legacy(-3),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "legacy, another version": Case(
        lambda: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1002, 2),
        "is in version 1002 of the torch format, not 1001; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "legacy, no list of storages": Case(
        lambda: legacy_of(one_weight(), b"\x80\x02}."),
        "is damaged or not a file of torch.save: its pickle does not list its storages; copy or download it again",
    ),
    "legacy, an unknown storage": Case(
        lambda: legacy_of(one_weight(), pickle.dumps(["7"], 2)),
        "is damaged or not a file of torch.save: its pickle lists the storage '7', which nothing refers to; "
        "copy or download it again",
    ),
    "legacy, a storage left out": Case(
        lambda: legacy_of(one_weight(), pickle.dumps([], 2)),
        "is damaged or not a file of torch.save: its pickle lacks the bytes of the storage '0'; "
        "copy or download it again",
    ),
    "legacy, a storage of another size": Case(
        lambda: legacy_of(one_weight(), pickle.dumps(["0"], 2), struct.pack("<q", -1)),
        "is damaged or not a file of torch.save: its pickle gives the storage '0' two sizes; copy or download it again",
    ),
    "legacy, a view beyond its storage": Case(
        lambda: legacy_with_program(
            under(
                "W",
                tensor_program(storage_program(view=b"(" + text("v") + number(3) + number(2) + b"t"), 0, (2,), (1,)),
            ),
            **{"0": bytes(16)},
        ),
        "is damaged or not a file of torch.save: its pickle refers to a part of the storage 'v' that reaches beyond "
        "it; copy or download it again",
    ),
}
