"""Pickles that give a value of another kind than is expected: a tensor where a pair, flags or a name should be."""

import pickle

from tests.checkpoints.programs import called, name, number, storage_program, tensor_program, text, with_program
from tests.hostile.case import Case, Table
from tests.hostile.pickles import legacy, of

# A tensor of a hundred million rows, in sixteen bytes.
ROWS = tensor_program(storage_program(), 0, (10**8,), (0,))
PAIRS = tensor_program(storage_program(), 0, (10**8, 2), (0, 0))


def wrong(program: bytes, what: str) -> Case:
    """A checkpoint with a value that this program makes, and what is said of it."""
    return Case(
        lambda: of(program, **{"0": bytes(16)}),
        f"is damaged or not a file of torch.save: its pickle {what}; copy or download it again",
    )


def flagged(flags: bytes, name: str = "_rebuild_tensor_v2") -> bytes:
    """The instructions that put a tensor with these flags on the stack."""
    dtype = b"ctorch\nfloat32\n" if name.endswith("3") else b""
    arguments = storage_program() + number(0) + number(4) + b"\x85" + number(1) + b"\x85\x89}" + dtype
    return called("torch._utils", name, arguments + flags)


PICKLED_KINDS: Table = {
    "a dictionary of a tensor": wrong(
        called("collections", "OrderedDict", PAIRS), "makes a dictionary of something that is not a list of pairs"
    ),
    "a dictionary of a list of a tensor": wrong(
        called("collections", "OrderedDict", b"(" + ROWS + b"l"),
        "makes a dictionary of something that is not a list of pairs",
    ),
    "a dictionary of pairs and a tensor": wrong(
        called("builtins", "dict", b"(" + text("a") + text("b") + b"\x86" + PAIRS + b"t"),
        "makes a dictionary of something that is not a list of pairs",
    ),
    "a counter of a tensor": wrong(
        called("collections", "Counter", ROWS), "makes a dictionary of something that is not a list of pairs"
    ),
    "a dictionary with a default of a tensor": wrong(
        called("collections", "defaultdict", name("builtins", "list"), PAIRS),
        "makes a dictionary of something that is not a list of pairs",
    ),
    "a dictionary of texts of two letters": wrong(
        called("collections", "OrderedDict", b"(" + text("ab") + b"l"),
        "makes a dictionary of something that is not a list of pairs",
    ),
    "a tensor for the flags of a tensor": wrong(flagged(ROWS), "gives a tensor flags that are not a dictionary"),
    "a tensor for the flags of a tensor of bytes": wrong(
        flagged(ROWS, "_rebuild_tensor_v3"), "gives a tensor flags that are not a dictionary"
    ),
    "a list for the flags of a tensor": wrong(flagged(b"]"), "gives a tensor flags that are not a dictionary"),
    "a tensor for the type of a tensor": wrong(
        called("torch._utils", "_rebuild_tensor_v3", storage_program() + b"K\0)))}" + ROWS),
        "makes a tensor of something that is not a storage, or with something that is not a dtype",
    ),
    "a tensor for a storage": wrong(
        called("torch._utils", "_rebuild_tensor_v2", ROWS + b"K\0))"),
        "makes a tensor of something that is not a storage, or with something that is not a dtype",
    ),
    "a tensor for an encoding": wrong(
        called("_codecs", "encode", text("a"), ROWS), "encodes something that is not a text"
    ),
    "a tensor for the name of a storage": wrong(
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + ROWS + text("cpu") + number(4) + b"tQ",
        "refers to the bytes of a tensor without their type, key or size",
    ),
    "a tensor for what a storage is": wrong(
        b"(" + ROWS * 5 + b"tQ", "refers to something other than the bytes of a tensor"
    ),
    "a tensor for a function": wrong(ROWS + b")R", "calls something that is not a function"),
    "a tensor for arguments": wrong(
        name("collections", "OrderedDict") + ROWS + b"R", "calls collections.OrderedDict without arguments"
    ),
    "a tensor for the name of a class": wrong(ROWS + ROWS + b"\x93", "has a name that is not a text"),
    "a tensor for a dictionary": wrong(ROWS + text("a") + b"Ns", "adds entries to something that is not a dictionary"),
    "a tensor for a list": wrong(ROWS + b"(NNe", "adds entries to something that is not a list"),
    "a tensor before a class": Case(
        lambda: with_program(b"\x80\x02(" + ROWS + b"(cnet\nNet\n)\x81tQ.", **{"0": bytes(16)}),
        "holds Python objects (net.Net), and loading it would run code; save model.state_dict() or use "
        "nalu_export.save(model, path)",
    ),
    "a list for the number of torch": Case(
        lambda: b"\x80\x02]." + legacy(),
        "is a pickle but not a file of torch.save; use torch.save(model.state_dict(), path)",
    ),
    "a list for the version of torch": Case(
        lambda: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"\x80\x02]." + legacy(),
        "is in version a value of type list of the torch format, not 1001; save model.state_dict() or use "
        "nalu_export.save(model, path)",
    ),
    "a tensor of a text": wrong(
        tensor_program(text("bytes"), 0, (1,), (1,)),
        "makes a tensor of something that is not a storage, or with something that is not a dtype",
    ),
}
