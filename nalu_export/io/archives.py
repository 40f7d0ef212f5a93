"""Zip files from anyone. Every reader of one goes through this guard; each says what is wrong in lines of its own.

Python's ``zipfile`` reads the list of members and nothing else. It believes that list: members may overlap, stand twice
or unpack to a thousand times what is there, so that a small file takes any memory.
"""

import io
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from nalu_export.errors import first_line
from nalu_export.io.text import plain

_LOCAL = struct.Struct("<4s22xHH")  # of a member: signature, …, length of its name, length of its extra field
_UTF_8 = 0x800
_ENCRYPTED = 0x1
_FEED = 2**16  # packed bytes that are unpacked at a time
_PIECE = 2**20  # unpacked bytes that are held at a time


class Flaw(Enum):
    """What can be wrong with an archive or one of its members."""

    CUT = auto()  # the list of members, which stands at the end, is not there
    LIST = auto()  # it is damaged
    COUNT = auto()  # more members than the limit
    SIZE = auto()  # more bytes, unpacked, than the limit
    ENCRYPTED = auto()
    COMPRESSED = auto()  # in a way that the limits do not have
    PLACE = auto()  # not where the list says, or over another member, or of another name or size there
    TWICE = auto()
    CONTENT = auto()  # cannot be unpacked
    CHECKSUM = auto()


class ArchiveError(Exception):
    """The guard refuses an archive; the text says why, but for the name of the file.

    Attributes:
        flaw: what is wrong.
        member: name of the member that it is about; empty where it is the archive.
        amount: how many members or bytes there are, where that is what is wrong.
    """

    def __init__(self, flaw: Flaw, text: str, member: str = "", amount: int = 0) -> None:
        super().__init__(text)
        self.flaw, self.member, self.amount = flaw, member, amount


@dataclass(frozen=True)
class Limits:
    """What an archive of one kind may be.

    Attributes:
        members: how many there may be; ``None`` for any number that the file has room for.
        unpacked: bytes of all of them together as the list says; ``None`` where they are not held in memory, or cannot
            be more than the file because none may be compressed.
        deflated: whether members may be compressed by DEFLATE. No other way is read: zipfile unpacks those without a
            limit.
    """

    members: int | None = None
    unpacked: int | None = None
    deflated: bool = False


class Archive:
    """A zip file in memory.

    Args:
        data: all of it.
        limits: what it may be.

    Raises:
        ArchiveError: its list of members cannot be read, or says more than the limits.
    """

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data, self._limits = memoryview(data), limits
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                self._entries, self._end = archive.infolist(), min(archive.start_dir, len(data))
        except Exception as error:
            # zipfile raises more kinds of errors than it documents: EOFError, struct.error, RuntimeError, ValueError …
            text = first_line(error)
            raise ArchiveError(Flaw.CUT if text == "File is not a zip file" else Flaw.LIST, text) from error
        count, size = len(self._entries), sum(entry.file_size for entry in self._entries)
        if limits.members is not None and count > limits.members:
            text = f"has {count:,} members; at most {limits.members:,} are read"
            raise ArchiveError(Flaw.COUNT, text, amount=count)
        if limits.unpacked is not None and size > limits.unpacked:
            text = f"unpacks to {size:,} bytes; at most {limits.unpacked:,} are read"
            raise ArchiveError(Flaw.SIZE, text, amount=size)

    @property
    def names(self) -> list[str]:
        """The members that are listed, without a look at them."""
        return [entry.filename for entry in self._entries]

    @property
    def summed(self) -> bool:
        """Whether there are checksums at all; torch can be told to leave them out."""
        return any(entry.CRC for entry in self._entries)

    def members(self) -> "Iterator[Member]":
        """Each member in the order of their places, once it is found to be where it should be.

        Raises:
            ArchiveError: one is encrypted, compressed in another way than the limits have, over another, or listed
                twice.
        """
        entries = sorted(self._entries, key=lambda entry: entry.header_offset)
        # What the list says of the next member may lie beyond all that is there.
        ends = [*(min(entry.header_offset, self._end) for entry in entries), self._end][1:]
        seen: set[str] = set()
        for entry, end in zip(entries, ends, strict=True):
            packed = self._packed(entry, end)
            if entry.filename in seen:
                raise _of(entry, Flaw.TWICE, "is listed twice")
            seen.add(entry.filename)
            yield Member(entry.filename, entry.file_size, packed, entry.compress_type, entry.CRC)

    def _packed(self, entry: zipfile.ZipInfo, end: int) -> memoryview:
        """The bytes of a member as they are in the file, which must lie before ``end``."""
        if entry.flag_bits & _ENCRYPTED:
            raise _of(entry, Flaw.ENCRYPTED, "is encrypted")
        stored = entry.compress_type == zipfile.ZIP_STORED
        read = stored or (self._limits.deflated and entry.compress_type == zipfile.ZIP_DEFLATED)
        # Where nothing may be compressed, what is larger than the file is, whatever the list says.
        if not read or (not self._limits.deflated and entry.file_size > len(self._data)):
            raise _of(entry, Flaw.COMPRESSED, "is compressed in a way that is not read")
        start = entry.header_offset
        if not 0 <= start <= end - _LOCAL.size:
            raise _of(entry, Flaw.PLACE, "is not where it should be")
        signature, name_size, extra_size = _LOCAL.unpack_from(self._data, start)
        start += _LOCAL.size
        name = bytes(self._data[start : start + name_size])
        start += name_size + extra_size
        named = name.decode("utf-8" if entry.flag_bits & _UTF_8 else "cp437", "replace") == entry.orig_filename
        fits = start + entry.compress_size <= end and (not stored or entry.compress_size == entry.file_size)
        if signature != b"PK\x03\x04" or not named or not fits:
            raise _of(entry, Flaw.PLACE, "is not where it should be")
        return self._data[start : start + entry.compress_size]


@dataclass(frozen=True)
class Member:
    """One member, at its place.

    Attributes:
        name: as the list has it; it is never a path of this machine.
        size: of its content, as the list says.
    """

    name: str
    size: int
    _packed: memoryview
    _way: int
    _checksum: int

    def content(self, *, summed: bool = True) -> memoryview:
        """All of it; that of a stored member without copying.

        Args:
            summed: whether the archive has checksums.

        Raises:
            ArchiveError: it does not match its checksum, or cannot be unpacked.
        """
        if self._way == zipfile.ZIP_STORED:
            if summed and zlib.crc32(self._packed) != self._checksum:
                raise self._mismatch()
            return self._packed
        return memoryview(b"".join(self._pieces()))

    def verify(self) -> None:
        """Compare the content with its checksum, without holding more than a piece of it.

        Raises:
            ArchiveError: see :meth:`content`.
        """
        if self._way == zipfile.ZIP_STORED:
            self.content()
        else:
            deque(self._pieces(), maxlen=0)

    def _pieces(self) -> Iterator[bytes]:
        """What DEFLATE unpacks to, never more than the list says."""
        inflate, left, checksum = zlib.decompressobj(-zlib.MAX_WBITS), self.size, 0
        try:
            for start in range(0, len(self._packed) + 1, _FEED):
                feed: bytes | memoryview = self._packed[start : start + _FEED]
                while left:
                    piece = inflate.decompress(feed, min(left, _PIECE))
                    feed = inflate.unconsumed_tail
                    if not piece:
                        break
                    left -= len(piece)
                    checksum = zlib.crc32(piece, checksum)
                    yield piece
        except zlib.error as error:
            raise ArchiveError(Flaw.CONTENT, first_line(error), self.name) from error
        if left:
            raise ArchiveError(Flaw.CONTENT, f"its member {plain(self.name)} ends too early", self.name)
        if checksum != self._checksum:
            raise self._mismatch()

    def _mismatch(self) -> ArchiveError:
        return ArchiveError(Flaw.CHECKSUM, f"the checksum of its member {plain(self.name)} does not match", self.name)


def _of(entry: zipfile.ZipInfo, flaw: Flaw, text: str) -> ArchiveError:
    return ArchiveError(flaw, f"its member {plain(entry.filename)} {text}", entry.filename)
