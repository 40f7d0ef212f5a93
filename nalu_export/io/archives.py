"""A guard for zip files from untrusted sources. All zip files are read through it; each reader words its own errors.

Python's ``zipfile`` reads only the list of members here (the central directory). It does not verify that list: members
may overlap, occur twice or unpack to a thousand times the size of the file, so a small file could fill the memory.
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

_LOCAL = struct.Struct("<4s22xHH")  # header of a member: signature, …, length of its name, length of its extra field
_UTF_8 = 0x800  # flag bit: the name is UTF-8
_ENCRYPTED = 0x1  # flag bit
_FEED = 2**16  # packed bytes given to DEFLATE at a time
_PIECE = 2**20  # unpacked bytes held at a time


class Flaw(Enum):
    """What is wrong with an archive or one of its members."""

    CUT = auto()  # the list of members, which is the end of the file, is missing
    LIST = auto()  # the list of members is damaged
    COUNT = auto()  # more members than the limit
    SIZE = auto()  # more unpacked bytes than the limit
    ENCRYPTED = auto()  # a member is encrypted
    COMPRESSED = auto()  # a member is compressed by a method that the limits do not allow
    PLACE = auto()  # a member is not where the list says, overlaps another, or has another name or size there
    TWICE = auto()  # a member is listed twice
    CONTENT = auto()  # a member cannot be unpacked
    CHECKSUM = auto()  # the content of a member does not match its checksum


class ArchiveError(Exception):
    """An archive is refused; the text says why, without the name of the file.

    Attributes:
        flaw: what is wrong.
        member: name of the member that has the flaw; empty for a flaw of the whole archive.
        amount: number of members (``Flaw.COUNT``) or of unpacked bytes (``Flaw.SIZE``); 0 for other flaws.
    """

    def __init__(self, flaw: Flaw, text: str, member: str = "", amount: int = 0) -> None:
        super().__init__(text)
        self.flaw, self.member, self.amount = flaw, member, amount


@dataclass(frozen=True)
class Limits:
    """What an archive of one kind may hold.

    Attributes:
        members: largest number of members; ``None`` for no limit.
        unpacked: largest number of unpacked bytes of all members together, as the list gives them; ``None`` for no
            limit: for archives whose members are not all held in memory, or may not be compressed and so are no larger
            than the file.
        deflated: whether members may be compressed by DEFLATE. Other methods are never read, because zipfile unpacks
            them without a limit.
    """

    members: int | None = None
    unpacked: int | None = None
    deflated: bool = False


class Archive:
    """A zip file in memory.

    Args:
        data: the bytes of the whole file.
        limits: what it may hold.

    Raises:
        ArchiveError: its list of members cannot be read, or has more members or bytes than the limits allow.
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
        """Names in the list of members, in its order; the members themselves are not checked."""
        return [entry.filename for entry in self._entries]

    @property
    def summed(self) -> bool:
        """Whether any member has a checksum; torch can write archives without them."""
        return any(entry.CRC for entry in self._entries)

    def members(self) -> "Iterator[Member]":
        """Yield the members in the order of their positions in the file, each after its position is verified.

        Raises:
            ArchiveError: a member is encrypted, compressed by a method that the limits do not allow, not where the list
                says, overlapping another, or listed twice.
        """
        entries = sorted(self._entries, key=lambda entry: entry.header_offset)
        # The listed position of the next member may be beyond the end of the members.
        ends = [*(min(entry.header_offset, self._end) for entry in entries), self._end][1:]
        seen: set[str] = set()
        for entry, end in zip(entries, ends, strict=True):
            packed = self._packed(entry, end)
            if entry.filename in seen:
                raise _of(entry, Flaw.TWICE, "is listed twice")
            seen.add(entry.filename)
            yield Member(entry.filename, entry.file_size, packed, entry.compress_type, entry.CRC)

    def _packed(self, entry: zipfile.ZipInfo, end: int) -> memoryview:
        """Return the bytes of a member as they are in the file, all before position ``end``."""
        if entry.flag_bits & _ENCRYPTED:
            raise _of(entry, Flaw.ENCRYPTED, "is encrypted")
        stored = entry.compress_type == zipfile.ZIP_STORED
        allowed = stored or (self._limits.deflated and entry.compress_type == zipfile.ZIP_DEFLATED)
        # A member that is larger than the file is compressed, even if the list says that it is not.
        if not allowed or (not self._limits.deflated and entry.file_size > len(self._data)):
            raise _of(entry, Flaw.COMPRESSED, "is compressed by a method that is not supported here")
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
    """One member, whose position in the file is verified.

    Attributes:
        name: its name in the list; it is never used as a path on this machine.
        size: size of its content in bytes, as the list gives it.
    """

    name: str
    size: int
    _packed: memoryview
    _method: int
    _checksum: int

    def content(self, *, summed: bool = True) -> memoryview:
        """Return the whole content; that of a member that is not compressed is not copied.

        Args:
            summed: whether to compare a member that is not compressed with its checksum; a compressed one always is.

        Raises:
            ArchiveError: the content does not match its checksum, or cannot be unpacked.
        """
        if self._method == zipfile.ZIP_STORED:
            if summed and zlib.crc32(self._packed) != self._checksum:
                raise self._mismatch()
            return self._packed
        return memoryview(b"".join(self._pieces()))

    def verify(self) -> None:
        """Compare the content with its checksum, while holding no more than 1 MiB of unpacked content.

        Raises:
            ArchiveError: see :meth:`content`.
        """
        if self._method == zipfile.ZIP_STORED:
            self.content()
        else:
            deque(self._pieces(), maxlen=0)

    def _pieces(self) -> Iterator[bytes]:
        """Yield the unpacked content in pieces, in total never more bytes than the list says."""
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
