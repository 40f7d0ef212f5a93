"""Malformed zip files of torch.save: cut, damaged, inflated, or of another kind."""

import struct

import torch

from tests.checkpoints import files
from tests.hostile.case import Case, Table


def good() -> bytes:
    """A checkpoint of a NAC, 3 → 4 → 2."""
    torch.manual_seed(0)
    return files.torch_bytes(files.nac_state())


def directory(data: bytes) -> int:
    """Where the list of members begins, behind the members."""
    return struct.unpack_from("<I", data, len(data) - 6)[0]  # type: ignore[no-any-return]


def member(name: str, content: bytes | None, data: bytes | None = None) -> bytes:
    """A checkpoint with one member replaced, or without it."""
    members = files.members_of(good() if data is None else data)
    (full,) = [found for found in members if found.endswith(f"/{name}")] or [f"archive/{name}"]
    members[full] = content or b""
    if content is None:
        del members[full]
    return files.zip_bytes(members)


def patched(data: bytes, entry: int, offset: int, form: str, value: int) -> bytes:
    """The file with a field of one entry in the list of members set to a value."""
    changed = bytearray(data)
    start = directory(data)
    for _ in range(entry):
        start += 46 + sum(struct.unpack_from("<HHH", data, start + 28))
    struct.pack_into(form, changed, start + offset, value)
    return bytes(changed)


def flipped(position: int, data: bytes | None = None) -> bytes:
    """The file with one bit of one byte flipped."""
    changed = bytearray(good() if data is None else data)
    changed[position] ^= 1
    return bytes(changed)


def twice() -> bytes:
    """A zip file that lists its first member two times: read twice, it would take the room of two."""
    data = files.zip_bytes({"archive/data.pkl": b"\x80\x02}.", "archive/version": b"3\n"})
    start = directory(data)
    first = data[start : start + 46 + len("archive/data.pkl")]
    listed = first * 2
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 2, 2, len(listed), start, 0)
    return data[:start] + listed + end


def overlapping() -> bytes:
    """Two members that share their bytes, as in bombs of files within files."""
    data = files.zip_bytes({"archive/data.pkl": bytes(200), "archive/data/0": bytes(100)})
    start = data.index(b"PK\x03\x04", 4)
    return patched(data, 1, 42, "<I", start - 150)


CUT = "is a truncated zip file; copy or download it again"

ZIPS: Table = {
    "nothing but PK": Case(lambda: b"PK", CUT),
    "cut in the first header": Case(lambda: good()[:20], CUT),
    "cut in the pickle": Case(lambda: good()[:120], CUT),
    "cut in a weight": Case(lambda: good()[: good().index(b"archive/data/0") + 70], CUT),
    "cut before the list of members": Case(lambda: good()[: directory(good())], CUT),
    "cut in the list of members": Case(lambda: good()[: directory(good()) + 60], CUT),
    "cut before the end record": Case(lambda: good()[:-22], CUT),
    "cut in the end record": Case(lambda: good()[:-1], CUT),
    "no first byte": Case(lambda: good()[1:], "is not a file of torch.save; expected a model.pt"),
    "a bit of a weight": Case(
        lambda: files.flipped_weight(30),
        "is damaged: the checksum of 'archive/data/0' does not match; copy or download it again",
    ),
    "a bit of the pickle": Case(
        lambda: flipped(good().index(b"layers.0.W_hat")),
        "is damaged: the checksum of 'archive/data.pkl' does not match; copy or download it again",
    ),
    "a bit of a checksum": Case(
        lambda: patched(good(), 1, 16, "<I", 1),
        "is damaged: the checksum of 'archive/.format_version' does not match; copy or download it again",
    ),
    "a member's header overwritten": Case(
        lambda: flipped(good().index(b"PK\x03\x04", 4)),
        "is a damaged zip file: its member 'archive/.format_version' is not where it should be; "
        "copy or download it again",
    ),
    "a member beyond the file": Case(
        lambda: patched(good(), 1, 42, "<I", 2**31),
        "is a damaged zip file: its member 'archive/.format_version' is not where it should be; "
        "copy or download it again",
    ),
    "two members beyond the file": Case(
        lambda: patched(patched(good(), 1, 42, "<I", 2**30), 2, 42, "<I", 2**31),
        "is a damaged zip file: its member 'archive/.format_version' is not where it should be; "
        "copy or download it again",
    ),
    "a member in the list of members": Case(
        lambda: patched(good(), 1, 42, "<I", directory(good()) + 1),
        "is a damaged zip file: its member 'archive/.format_version' is not where it should be; "
        "copy or download it again",
    ),
    "a member of four gigabytes": Case(
        lambda: patched(good(), 1, 24, "<I", 2**32 - 2),
        "has the compressed member 'archive/.format_version', which torch.save never writes",
    ),
    "a member that says two sizes": Case(
        lambda: patched(good(), 1, 20, "<I", 3),
        "is a damaged zip file: its member 'archive/.format_version' is not where it should be; "
        "copy or download it again",
    ),
    "overlapping members": Case(
        overlapping,
        "is a damaged zip file: its member 'archive/data.pkl' is not where it should be; copy or download it again",
    ),
    "a member twice": Case(
        twice,
        "is a damaged zip file: its member 'archive/data.pkl' is not where it should be; copy or download it again",
    ),
    "an unknown compression": Case(
        lambda: patched(good(), 0, 10, "<H", 97),
        "has the compressed member 'archive/data.pkl', which torch.save never writes",
    ),
    "compressed": Case(
        lambda: files.recompressed(good()),
        "has the compressed member 'archive/data.pkl', which torch.save never writes",
    ),
    "a zip bomb": Case(files.bomb, "has the compressed member 'archive/data.pkl', which torch.save never writes"),
    "encrypted": Case(
        lambda: files.encrypted(good()),
        "is a damaged zip file: its member 'archive/data.pkl' is encrypted, which torch.save never does; "
        "copy or download it again",
    ),
    "an empty zip": Case(lambda: files.zip_bytes({}), "is a zip file but not one of torch.save; expected a model.pt"),
    "a zip of something else": Case(
        lambda: files.zip_bytes({"word/document.xml": b"<xml/>"}),
        "is a zip file but not one of torch.save; expected a model.pt",
    ),
    "a member that climbs out": Case(
        lambda: files.zip_bytes({"../../../etc/cron.d/x": b"* * * * *"}),
        "is a zip file but not one of torch.save; expected a model.pt",
    ),
    "an absolute member": Case(
        lambda: files.zip_bytes({"/etc/passwd": b"root"}),
        "is a zip file but not one of torch.save; expected a model.pt",
    ),
    "a pickle outside of its folder": Case(
        lambda: files.zip_bytes({"archive/version": b"3", "../archive/data.pkl": b"\x80\x02}."}),
        "is a zip file but not one of torch.save; expected a model.pt",
    ),
    "a storage that climbs out": Case(
        lambda: member(
            "data.pkl",
            files.members_of(good())["archive/data.pkl"].replace(b"X\x01\0\0\x000q", b"X\x09\0\0\0../../../q"),
        ),
        "has 'layers.0.W_hat' whose bytes, the member 'data/../../../', are missing; the file is damaged; "
        "copy or download it again",
    ),
    "no pickle": Case(lambda: member("data.pkl", None), "is a zip file but not one of torch.save; expected a model.pt"),
    "an empty pickle": Case(
        lambda: member("data.pkl", b""),
        "is damaged or not a file of torch.save: its pickle ends too early; copy or download it again",
    ),
    "no weight": Case(
        lambda: member("data/0", None),
        "has 'layers.0.W_hat' whose bytes, the member 'data/0', are missing; the file is damaged; "
        "copy or download it again",
    ),
    "a short weight": Case(
        lambda: member("data/0", bytes(44)),
        "has 'layers.0.W_hat' that needs 48 bytes, but its member 'data/0' has 44; the file is damaged; "
        "copy or download it again",
    ),
    "a long weight": Case(
        lambda: member("data/0", bytes(52)),
        "has 'layers.0.W_hat' that needs 48 bytes, but its member 'data/0' has 52; the file is damaged; "
        "copy or download it again",
    ),
    "an unknown order of bytes": Case(
        lambda: member("byteorder", b"middle\n\x1b[2J"),
        "is in the byte order 'middle\\n\\x1b[2J'; expected little or big",
    ),
    "an empty file": Case(lambda: b"", "is empty; expected a model.pt"),
    "one byte": Case(lambda: b"\0", "is not a file of torch.save; expected a model.pt"),
    "text": Case(lambda: b"W_hat: 1.0\nM_hat: 2.0\n", "is not a file of torch.save; expected a model.pt"),
    "zeros": Case(lambda: bytes(1000), "is not a file of torch.save; expected a model.pt"),
    "a pointer of Git LFS": Case(
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "is a Git LFS pointer, not the file itself; run git lfs pull",
    ),
    "a gzip file": Case(lambda: b"\x1f\x8b\x08" + bytes(20), "is a gzip file; unpack it first, expected a model.pt"),
    "a tar file": Case(
        lambda: b"x".ljust(257, b"\0") + b"ustar\x0000" + bytes(247),
        "is a tar file; unpack it first, expected a model.pt",
    ),
    "an HTML page": Case(
        lambda: b"<!DOCTYPE html><title>404</title>",
        "is an HTML page, perhaps the error page of a failed download; expected a model.pt",
    ),
    "an HDF5 file": Case(lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file (Keras?); expected a model.pt"),
}
