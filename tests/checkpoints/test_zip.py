"""Zip files: damaged, hostile, foreign; each member is checked before it is used."""

import io
import struct
import zipfile
from collections.abc import Callable

import pytest
import torch

from nalu_export.checkpoints.container import unpack
from tests.checkpoints import files
from tests.checkpoints.programs import refused

PLACE = "is not where it should be"


def good() -> bytes:
    return files.torch_bytes(files.nac_state())


def central(data: bytes, member: str, offset: int, layout: str, value: int) -> bytes:
    """The archive with a field of a member's entry in the directory changed."""
    changed = bytearray(data)
    start = changed.rindex(member.encode()) - 46
    assert changed[start : start + 4] == b"PK\x01\x02"
    struct.pack_into(layout, changed, start + offset, value)
    return bytes(changed)


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("archive/data.pkl", b"\x80\x02].")
    return buffer.getvalue()


def overlapping() -> bytes:
    """The second member begins where the first does."""
    data = files.zip_bytes({"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(4)})
    return central(data, "archive/data/0", 42, "<I", 0)


def last() -> bytes:
    """An archive without anything between its members."""
    return files.zip_bytes({"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(4)})


def first_byte_of(member: str) -> bytes:
    data = bytearray(good())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = archive.read(member)
    data[data.index(content)] ^= 1
    return bytes(data)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "PK only": (lambda: b"PK", "is a truncated zip file; copy or download it again"),
    "empty": (lambda: files.zip_bytes({}), "is a zip file but not one of torch.save; expected a model.pt"),
    "foreign": (
        lambda: files.zip_bytes({"word/document.xml": b"<xml/>"}),
        "is a zip file but not one of torch.save; expected a model.pt",
    ),
    "pickle in another folder": (
        lambda: files.zip_bytes({"a/version": b"3", "b/data.pkl": b"\x80\x02}."}),
        "is a zip file but not one of torch.save; expected a model.pt",
    ),
    "cut": (lambda: good()[:-30], "is a truncated zip file; copy or download it again"),
    "no end": (lambda: good()[:700], "is a truncated zip file; copy or download it again"),
    "directory cut out": (
        lambda: good()[:1000] + good()[-22:],
        "is a damaged zip file: Bad magic number for central directory; copy or download it again",
    ),
    "compressed": (
        lambda: files.recompressed(good()),
        "has the compressed member 'archive/data.pkl', which torch.save never writes",
    ),
    "bomb": (files.bomb, "has the compressed member 'archive/data.pkl', which torch.save never writes"),
    "encrypted": (
        lambda: files.encrypted(good()),
        "is a damaged zip file: its member 'archive/data.pkl' is encrypted, which torch.save never does; "
        "copy or download it again",
    ),
    "larger than the file": (
        lambda: central(good(), "archive/data/1", 24, "<I", 10**9),
        "has the compressed member 'archive/data/1', which torch.save never writes",
    ),
    "larger than its place": (
        lambda: central(central(good(), "archive/data/1", 24, "<I", 500), "archive/data/1", 20, "<I", 500),
        f"is a damaged zip file: its member 'archive/data/1' {PLACE}; copy or download it again",
    ),
    "two sizes": (
        lambda: central(good(), "archive/data/1", 24, "<I", 4),
        f"is a damaged zip file: its member 'archive/data/1' {PLACE}; copy or download it again",
    ),
    "inside another": (
        lambda: central(good(), "archive/data/1", 42, "<I", 60),
        f"is a damaged zip file: its member 'archive/data.pkl' {PLACE}; copy or download it again",
    ),
    "beyond the file": (
        lambda: central(good(), "archive/data/1", 42, "<I", 2**31),
        f"is a damaged zip file: its member 'archive/data/1' {PLACE}; copy or download it again",
    ),
    "last member into the directory": (
        lambda: central(central(last(), "archive/data/0", 24, "<I", 60), "archive/data/0", 20, "<I", 60),
        f"is a damaged zip file: its member 'archive/data/0' {PLACE}; copy or download it again",
    ),
    "no member there": (
        lambda: last().replace(b"PK\x03\x04", b"PK\x03\x05"),
        f"is a damaged zip file: its member 'archive/data.pkl' {PLACE}; copy or download it again",
    ),
    "overlapping": (
        overlapping,
        f"is a damaged zip file: its member 'archive/data.pkl' {PLACE}; copy or download it again",
    ),
    "twice": (twice, "is a damaged zip file: it has the member 'archive/data.pkl' twice; copy or download it again"),
    "pickle flipped": (
        lambda: first_byte_of("archive/data.pkl"),
        "is damaged: the checksum of 'archive/data.pkl' does not match; copy or download it again",
    ),
    "weight flipped": (
        lambda: first_byte_of("archive/data/1"),
        "is damaged: the checksum of 'archive/data/1' does not match; copy or download it again",
    ),
    "unused member flipped": (
        lambda: first_byte_of("archive/.data/serialization_id"),
        "is damaged: the checksum of 'archive/.data/serialization_id' does not match; copy or download it again",
    ),
    "line feed in a name": (
        lambda: central(files.zip_bytes({"a\nb/c": b"x"}), "a\nb/c", 16, "<I", 1),
        r"is damaged: the checksum of 'a\nb/c' does not match; copy or download it again",
    ),
    "byte order": (
        lambda: files.zip_bytes(files.members_of(good()) | {"archive/byteorder": b"mid\ndle"}),
        r"is in the byte order 'mid\ndle'; expected little or big",
    ),
    "no pickle": (
        lambda: files.zip_bytes({"archive/data.pkl": b""}),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_zip(case: str) -> None:
    make, expected = BAD[case]
    assert refused(make()) == expected


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\x", "archive/../../x", "a" * 60_000])
def test_members_are_never_written_anywhere(name: str) -> None:
    state = files.nac_state()
    data = files.zip_bytes(files.members_of(files.torch_bytes(state)) | {name: b"x"})
    found = unpack(data).payload
    assert all(torch.equal(found[key], state[key]) for key in state)


@pytest.mark.parametrize("root", ["archive", "model", "größe 数", "a b"])
def test_any_root(root: str) -> None:
    """torch names it after the file."""
    members = files.members_of(good())
    renamed = {name.replace("archive", root, 1): content for name, content in members.items()}
    assert list(unpack(files.zip_bytes(renamed)).payload) == list(files.nac_state())


def test_a_file_without_checksums_is_read_and_said() -> None:
    """torch.serialization.set_crc32_options(False) leaves them out of all members."""
    state = files.nac_state()
    torch.serialization.set_crc32_options(False)
    try:
        data = files.torch_bytes(state)
    finally:
        torch.serialization.set_crc32_options(True)
    found = unpack(data)
    assert all(torch.equal(found.payload[key], state[key]) for key in state)
    assert found.notes == ("has no checksums, so that damage to a weight would not be noticed",)
    assert unpack(files.torch_bytes(state)).notes == ()


def test_a_zip_that_torch_writes_is_not_compressed() -> None:
    """The rule against compressed members rests on this."""
    with zipfile.ZipFile(io.BytesIO(good())) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_thousands_of_members() -> None:
    members = files.members_of(good()) | {f"archive/extra/{index}": b"" for index in range(5000)}
    with files.time_limit(5):
        assert len(unpack(files.zip_bytes(members)).payload) == 4
