"""The members of a zip file, each checked before a byte of it is used."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from nalu_export.checkpoints._refusals import unreadable
from nalu_export.errors import InputError, first_line
from nalu_export.io.text import printable, short

_LOCAL = struct.Struct("<4s22xHH")  # of a member: signature, …, length of its name, length of its extra field


@dataclass(frozen=True)
class Archive:
    """An archive whose members do not overlap, are not compressed and match their checksums.

    Attributes:
        root: the folder that all of a torch archive is in, as the first member of the file names it.
        members: by name, the content without copying it.
        summed: whether there are checksums at all; torch can be told to leave them out.
    """

    root: str
    members: Mapping[str, memoryview]
    summed: bool

    def get(self, name: str) -> memoryview | None:
        """A member by its name below the root."""
        return self.members.get(f"{self.root}/{name}")


def names(data: bytes) -> list[str]:
    """The members that a zip file lists, without a look at them.

    Raises:
        InputError: it is damaged.
    """
    return [entry.filename for entry in _directory(data)[0]]


def open_archive(data: bytes) -> Archive:
    """Look through a zip file.

    Raises:
        InputError: it is damaged, or has compressed, encrypted, overlapping or repeated members, as torch never writes.
    """
    entries, directory = _directory(data)
    members: dict[str, memoryview] = {}
    summed = any(entry.CRC for entry in entries)
    entries.sort(key=lambda entry: entry.header_offset)
    for index, entry in enumerate(entries):
        following = entries[index + 1].header_offset if index + 1 < len(entries) else directory
        # What a directory says of the next member may lie beyond all that is there.
        content = _content(data, entry, min(following, directory, len(data)))
        if entry.filename in members:
            raise unreadable(f"is a damaged zip file: it has the member {short(entry.filename)} twice")
        if summed and zlib.crc32(content) != entry.CRC:
            # torch.load itself does not look: a flipped bit in a weight would load silently.
            raise unreadable(f"is damaged: the checksum of {short(entry.filename)} does not match")
        members[entry.filename] = content
    root = entries[0].filename.partition("/")[0] if entries else ""
    return Archive(root, members, summed)


def _directory(data: bytes) -> tuple[list[zipfile.ZipInfo], int]:
    """What the end of a zip file says of its members, and where that begins."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.infolist(), archive.start_dir
    except zipfile.BadZipFile as error:
        if str(error) == "File is not a zip file":  # its directory stands at the end
            raise InputError("is a zip file without its end; copy or download it again, whole") from error
        raise unreadable(f"is a damaged zip file: {printable(str(error)[:200])}") from error
    except Exception as error:
        # What zipfile does not foresee: EOFError, struct.error, RuntimeError, OSError, ValueError …
        raise unreadable(f"is a damaged zip file: {printable(first_line(error)[:200])}") from error


def _content(data: bytes, entry: zipfile.ZipInfo, end: int) -> memoryview:
    """The bytes of a member, which must lie before ``end``."""
    name = short(entry.filename)
    if entry.flag_bits & 0x1:
        raise unreadable(f"is a damaged zip file: its member {name} is encrypted, which torch.save never does")
    # torch stores without compression, so a compressed member is foreign and may be a bomb.
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(data):
        raise InputError(f"has the compressed member {name}, which torch.save never writes")
    start = entry.header_offset
    if not 0 <= start <= end - _LOCAL.size:
        raise unreadable(f"is a damaged zip file: its member {name} is not where it should be")
    signature, name_size, extra_size = _LOCAL.unpack_from(data, start)
    start += _LOCAL.size + name_size + extra_size
    if signature != b"PK\x03\x04" or entry.compress_size != entry.file_size or start + entry.file_size > end:
        raise unreadable(f"is a damaged zip file: its member {name} is not where it should be")
    return memoryview(data)[start : start + entry.file_size]
