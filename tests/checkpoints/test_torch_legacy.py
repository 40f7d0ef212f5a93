"""Files of torch.save before torch 1.6, as far as what is behind the pickle goes."""

import pickle
import struct

import pytest
import torch

from nalu_export.checkpoints.container import unpack
from tests.checkpoints import files
from tests.checkpoints.programs import (
    DAMAGED,
    LEGACY_HEAD,
    legacy_with_program,
    refused,
    storage_program,
    tensor_program,
    text,
    under,
)

FLOATS = struct.pack("<4f", 1, 2, 3, 4)
STORED = storage_program(view=b"N")
VIEW = b"(" + text("view") + b"K\x01K\x02t"


def pickled(*values: object) -> bytes:
    return b"".join(pickle.dumps(value, 2) for value in values)


MAGIC = 0x1950A86A20F9469CFC6C
WHOLE = under("w", tensor_program(STORED, 0, (4,), (1,)))

BAD: dict[str, tuple[bytes, str]] = {
    "one byte": (b"\x80", DAMAGED + "ends too early; copy or download it again"),
    "a number": (pickled(5), "is a pickle but not a file of torch.save; use torch.save(model.state_dict(), path)"),
    "a state_dict": (
        pickled({"w": [1.0, 2.0]}),
        "is a pickle but not a file of torch.save; use torch.save(model.state_dict(), path)",
    ),
    "magic as a float": (
        pickled(float(MAGIC), 1001, {}, {}, []),
        "is a pickle but not a file of torch.save; use torch.save(model.state_dict(), path)",
    ),
    "nothing behind the magic": (pickled(MAGIC), DAMAGED + "ends too early; copy or download it again"),
    "version 1": (
        pickled(MAGIC, 1, {}, {}, []),
        "is in version 1 of the torch format, not 1001; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "version text": (
        pickled(MAGIC, "1\n", {}, {}, []),
        r"is in version '1\n' of the torch format, not 1001; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "storage in the head": (
        pickled(MAGIC) + STORED + b".",
        DAMAGED + "refers to bytes that are not in it; copy or download it again",
    ),
    "no list of storages": (LEGACY_HEAD + WHOLE, DAMAGED + "ends too early; copy or download it again"),
    "storages in a dictionary": (
        LEGACY_HEAD + WHOLE + pickled({}),
        DAMAGED + "does not list its storages; copy or download it again",
    ),
    "unknown storage": (
        LEGACY_HEAD + WHOLE + pickled(["7"]),
        DAMAGED + "lists the storage '7', which nothing refers to; copy or download it again",
    ),
    "storage that is a list": (
        LEGACY_HEAD + WHOLE + pickled([[]]),
        DAMAGED + "lists the storage a value of type list, which nothing refers to; copy or download it again",
    ),
    "storage in the list": (
        LEGACY_HEAD + WHOLE + b"](" + STORED + b"e.",
        DAMAGED + "refers to bytes that are not in it; copy or download it again",
    ),
    "storage not listed": (
        legacy_with_program(WHOLE),
        DAMAGED + "lacks the bytes of the storage '0'; copy or download it again",
    ),
    "two sizes": (
        legacy_with_program(WHOLE, **{"0": FLOATS[:12]}),
        DAMAGED + "gives the storage '0' two sizes; copy or download it again",
    ),
    "negative size": (
        LEGACY_HEAD + WHOLE + pickled(["0"]) + struct.pack("<q", -1),
        DAMAGED + "gives the storage '0' two sizes; copy or download it again",
    ),
    "cut in a size": (
        legacy_with_program(WHOLE, **{"0": FLOATS})[:-20],
        DAMAGED + "ends too early; copy or download it again",
    ),
    "cut in the weights": (
        legacy_with_program(WHOLE, **{"0": FLOATS})[:-1],
        DAMAGED + "ends too early; copy or download it again",
    ),
    "huge storage": (
        legacy_with_program(under("w", tensor_program(storage_program(count=10**12, view=b"N"), 0, (1,), (1,)))),
        "has 'w' that needs 4,000,000,000,000 bytes, more than the file has left; the file is damaged; "
        "copy or download it again",
    ),
    "view without its size": (
        legacy_with_program(storage_program(view=b"(NNt") + b"."),
        DAMAGED + "refers to a part of a storage without its key, place or size; copy or download it again",
    ),
    "view by a number": (
        legacy_with_program(storage_program(view=b"(K\x00K\x00K\x01t") + b"."),
        DAMAGED + "refers to a part of a storage without its key, place or size; copy or download it again",
    ),
    "view beyond": (
        legacy_with_program(storage_program(view=b"(" + text("v") + b"K\x03K\x02t") + b"."),
        DAMAGED + "refers to a part of the storage 'v' that reaches beyond it; copy or download it again",
    ),
    "view before": (
        legacy_with_program(storage_program(view=b"(" + text("v") + b"J\xff\xff\xff\xffK\x02t") + b"."),
        DAMAGED + "refers to a part of the storage 'v' that reaches beyond it; copy or download it again",
    ),
    "tensor beyond its view": (
        legacy_with_program(under("w", tensor_program(storage_program(view=VIEW), 0, (3,), (1,))), **{"0": FLOATS}),
        "has 'w' of shape (3,) and strides (1,) at 0, which reaches beyond its storage of 2 elements; "
        "the file is damaged; copy or download it again",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_legacy_file(case: str) -> None:
    data, expected = BAD[case]
    assert refused(data) == expected


def test_a_whole_storage() -> None:
    found = unpack(legacy_with_program(WHOLE, **{"0": FLOATS}))
    assert found.kind == "legacy torch"
    assert torch.equal(found.payload["w"], torch.tensor([1.0, 2, 3, 4]))


def test_views_of_storages_share_their_bytes() -> None:
    """torch's first releases wrote a slice of a storage as a storage of its own, with its place in the other."""
    one = tensor_program(storage_program(view=VIEW), 1, (1,), (1,))
    all_ = tensor_program(STORED, 0, (4,), (1,))
    data = legacy_with_program(b"](" + one + all_ + b"e.", **{"0": FLOATS})
    part, whole = unpack(data).payload
    assert torch.equal(part, torch.tensor([3.0]))
    part[0] = 9.0
    assert torch.equal(whole, torch.tensor([1.0, 2, 9, 4]))


def test_a_storage_that_no_tensor_looks_into() -> None:
    data = legacy_with_program(b"](" + STORED + tensor_program(storage_program("1", view=b"N"), 0, (4,), (1,)) + b"e.",
                               **{"0": bytes(16), "1": FLOATS})  # fmt: skip
    assert torch.equal(unpack(data).payload[1], torch.tensor([1.0, 2, 3, 4]))


def test_what_is_behind_the_end_does_not_matter() -> None:
    """Files in other files are padded, and torch does not look."""
    data = files.torch_bytes(files.nac_state(), legacy=True)
    assert list(unpack(data + bytes(100)).payload) == list(files.nac_state())


def test_protocol_1_is_told_from_text() -> None:
    data = files.torch_bytes(files.nac_state(), legacy=True, protocol=1)
    assert data.startswith(b"L119547037146038801333356L\n")
    assert unpack(data).kind == "legacy torch"


@pytest.mark.parametrize("cut", range(20))
def test_cut_anywhere(cut: int) -> None:
    data = files.torch_bytes(files.nac_state(), legacy=True)
    assert refused(data[: 1 + cut * (len(data) - 1) // 20]).startswith(DAMAGED)
