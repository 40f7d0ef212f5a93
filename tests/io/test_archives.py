"""nalu_export.io.archives: what a zip file may say of its members, and that each of its readers goes through that."""

import io
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nalu_export import InputError
from nalu_export.checkpoints._trusted import torchscript
from nalu_export.checkpoints._zip import open_archive
from nalu_export.formats.torchscript.format import FORMAT, METADATA
from nalu_export.io.archives import Archive, ArchiveError, Flaw, Limits
from nalu_export.io.input_files import read_inputs
from nalu_export.io.npz import to_npz
from tests.checkpoints.files import encrypted, zip_bytes
from tests.hostile.zips import directory, patched

DEFLATED = Limits(deflated=True)
MEMBERS = {"a/x": b"abc" * 100, "a/größe": bytes(range(256)) * 20_000, "a/empty": b""}


def _read(data: bytes, limits: Limits = DEFLATED) -> dict[str, bytes]:
    return {member.name: bytes(member.content()) for member in Archive(data, limits).members()}


def _flaw(data: bytes, limits: Limits = DEFLATED) -> tuple[Flaw, str]:
    with pytest.raises(ArchiveError) as raised:
        _read(data, limits)
    return raised.value.flaw, str(raised.value)


@pytest.mark.parametrize("way", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_come_back(way: int) -> None:
    data = zip_bytes(MEMBERS, compression=way)
    assert Archive(data, DEFLATED).names == list(MEMBERS)
    assert _read(data) == MEMBERS
    for member in Archive(data, DEFLATED).members():
        member.verify()


def _noise(size: int) -> bytes:
    return np.random.default_rng(0).bytes(size)


def test_what_compresses_badly_comes_back_too() -> None:
    for size in (2**16 - 30, 2**16, 3 * 2**20 + 1):
        assert _read(zip_bytes({"x": _noise(size)}, compression=zipfile.ZIP_DEFLATED)) == {"x": _noise(size)}


def twice(way: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", way) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for size in (2, 3):
            archive.writestr("m/x", _npy(size))
    return buffer.getvalue()


def _good(way: int = zipfile.ZIP_STORED) -> bytes:
    return zip_bytes({"m/x": _npy(30), "m/y": _npy(2)}, compression=way)


def _npy(size: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(float(size)))
    return buffer.getvalue()


def _over() -> bytes:
    """The second member begins in the first."""
    data = _good()
    return patched(data, 1, 42, "<I", data.index(b"PK\x03\x04", 4) - 150)


def _renamed() -> bytes:
    """A member has another name at its place than in the list."""
    return _good().replace(b"m/x", b"m/z", 1)


def _broken() -> bytes:
    """What DEFLATE cannot unpack."""
    data = bytearray(_good(zipfile.ZIP_DEFLATED))
    data[33:37] = b"\xff" * 4
    return bytes(data)


def _bomb() -> bytes:
    return zip_bytes({"m/x": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)


def _growing() -> bytes:
    """A member that says to have 300 bytes and unpacks to 50 million."""
    return patched(_bomb(), 0, 24, "<I", 300)


def _short() -> bytes:
    """A member that unpacks to less than it says."""
    return patched(_good(zipfile.ZIP_DEFLATED), 0, 24, "<I", len(_npy(30)) + 1)


X = "its member m/x "
METHOD = "is compressed by a method that is not supported here"
CASES: dict[str, tuple[Callable[[], bytes], Flaw, str]] = {
    "cut": (lambda: _good()[:-1], Flaw.CUT, "File is not a zip file"),
    "list": (
        lambda: _good().replace(b"PK\x01\x02", b"PK\x01\x03"), Flaw.LIST, "Bad magic number for central directory"
    ),
    "encrypted": (lambda: encrypted(_good()), Flaw.ENCRYPTED, X + "is encrypted"),
    "bzip2": (lambda: _good(zipfile.ZIP_BZIP2), Flaw.COMPRESSED, X + METHOD),
    "over another": (_over, Flaw.PLACE, X + "is not where it should be"),
    "another name": (_renamed, Flaw.PLACE, X + "is not where it should be"),
    "in the list": (
        lambda: patched(_good(), 0, 42, "<I", directory(_good()) + 1), Flaw.PLACE, X + "is not where it should be"
    ),
    "two sizes": (lambda: patched(_good(), 0, 20, "<I", 7), Flaw.PLACE, X + "is not where it should be"),
    "twice": (lambda: twice(zipfile.ZIP_STORED), Flaw.TWICE, X + "is listed twice"),
    "twice, packed": (lambda: twice(zipfile.ZIP_DEFLATED), Flaw.TWICE, X + "is listed twice"),
    "broken": (_broken, Flaw.CONTENT, "Error -3 while decompressing data: invalid block type"),
    "short": (_short, Flaw.CONTENT, X + "ends too early"),
    "growing": (_growing, Flaw.CHECKSUM, "the checksum of its member m/x does not match"),
    "checksum": (
        lambda: patched(_good(), 0, 16, "<I", 1), Flaw.CHECKSUM, "the checksum of its member m/x does not match"
    ),
    "checksum, packed": (
        lambda: patched(_good(zipfile.ZIP_DEFLATED), 0, 16, "<I", 1),
        Flaw.CHECKSUM,
        "the checksum of its member m/x does not match",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_flaw_is_found(name: str) -> None:
    make, flaw, text = CASES[name]
    assert _flaw(make()) == (flaw, text)


READERS: dict[str, Callable[[Path], object]] = {
    "inputs": read_inputs,
    "checkpoint": lambda path: open_archive(path.read_bytes()),
    "artifact": lambda path: FORMAT.read_metadata(path.read_bytes()),
    "trusted": lambda path: torchscript(path.read_bytes()),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_a_flaw_in_one_line(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(_good())
    if reader == "trusted":  # it is no program
        with pytest.raises(InputError, match="that torch cannot load"):
            READERS[reader](path)
    else:
        READERS[reader](path)
    for name, (make, _, _) in CASES.items():
        path.write_bytes(make())
        with pytest.raises(InputError) as raised:
            READERS[reader](path)
        assert "\n" not in str(raised.value), name
        assert "torch cannot load" not in str(raised.value), name


def test_limits_are_of_what_the_list_says() -> None:
    data = zip_bytes({f"{number}": bytes(1000) for number in range(5)}, compression=zipfile.ZIP_DEFLATED)
    assert len(_read(data, Limits(5, 5000, deflated=True))) == 5
    assert _flaw(data, Limits(4, 5000, deflated=True)) == (Flaw.COUNT, "has 5 members; at most 4 are read")
    assert _flaw(data, Limits(5, 4999, deflated=True)) == (Flaw.SIZE, "unpacks to 5,000 bytes; at most 4,999 are read")
    assert _flaw(data, Limits()) == (Flaw.COMPRESSED, f"its member 0 {METHOD}")


def test_no_more_memory_is_taken_than_a_piece_of_what_a_bomb_unpacks_to() -> None:
    (member,) = Archive(_bomb(), DEFLATED).members()
    growing = _growing()
    tracemalloc.start()
    member.verify()
    _flaw(growing)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_a_stored_member_is_not_copied() -> None:
    data = zip_bytes({"x": b"abc"})
    (member,) = Archive(data, Limits()).members()
    assert member.content().obj is data


def test_an_archive_without_checksums_says_so() -> None:
    data = patched(zip_bytes({"x": b"abc"}), 0, 16, "<I", 0)
    archive = Archive(data, Limits())
    assert not archive.summed
    assert [bytes(member.content(summed=False)) for member in archive.members()] == [b"abc"]
    assert _flaw(data)[0] is Flaw.CHECKSUM
    assert Archive(zip_bytes({"x": b"abc"}), Limits()).summed


def test_the_metadata_of_an_artifact_is_not_read_from_one_of_two_members() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for content in ('{"a": "1"}', '{"a": "2"}'):
            archive.writestr(f"m/extra/{METADATA}", content)
    with pytest.raises(
        InputError, match=rf"^is damaged: m/extra/{METADATA} cannot be read, or does not match its checksum"
    ):
        FORMAT.read_metadata(buffer.getvalue())


@pytest.mark.parametrize("compressed", [False, True])
def test_an_npz_depends_on_its_arrays_alone(compressed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arrays = {"b/ü": np.arange(6.0).reshape(2, 3), "a": np.array("text"), "c": np.ones(1, np.float32)}
    data = to_npz(arrays, compressed=compressed)
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert to_npz(arrays, compressed=compressed) == data
    (tmp_path / "x.npz").write_bytes(data)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        to_npz({"x": np.array([object()])})
    dates = struct.unpack_from("<HH", data, 10)
    assert dates == (0, 33)
