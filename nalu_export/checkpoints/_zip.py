"""The zip files of torch.save and torch.export: what the guard of archives refuses, as it is said of a model file."""

from collections.abc import Mapping
from dataclasses import dataclass

from nalu_export.checkpoints._refusals import unreadable
from nalu_export.errors import InputError
from nalu_export.io import archives
from nalu_export.io.archives import ArchiveError, Flaw, Limits
from nalu_export.io.text import printable, short

# torch stores without compression, so a compressed member is foreign and may be a bomb.
_STORED = Limits()
_CUT = "is a truncated zip file; copy or download it again"
_COMPRESSED = "has the compressed member {}, which torch.save never writes"
_DAMAGED = {
    Flaw.ENCRYPTED: "is a damaged zip file: its member {} is encrypted, which torch.save never does",
    Flaw.PLACE: "is a damaged zip file: its member {} is not where it should be",
    Flaw.TWICE: "is a damaged zip file: it has the member {} twice",
    # torch.load itself does not look: a flipped bit in a weight would load silently.
    Flaw.CHECKSUM: "is damaged: the checksum of {} does not match",
}


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
    try:
        return archives.Archive(data, _STORED).names
    except ArchiveError as error:
        raise refusal(error) from error


def open_archive(data: bytes) -> Archive:
    """Look through a zip file.

    Raises:
        InputError: it is damaged, or has compressed, encrypted, overlapping or repeated members, as torch never writes.
    """
    try:
        archive = archives.Archive(data, _STORED)
        members = {member.name: member.content(summed=archive.summed) for member in archive.members()}
    except ArchiveError as error:
        raise refusal(error) from error
    return Archive(next(iter(members), "").partition("/")[0], members, archive.summed)


def refusal(error: ArchiveError) -> InputError:
    """What is said of a model file that the guard refuses."""
    if error.flaw is Flaw.CUT:  # the list of members stands at the end
        return InputError(_CUT)
    if error.flaw is Flaw.COMPRESSED:
        return InputError(_COMPRESSED.format(short(error.member)))
    if error.flaw in _DAMAGED:
        return unreadable(_DAMAGED[error.flaw].format(short(error.member)))
    return unreadable(f"is a damaged zip file: {printable(str(error)[:200])}")
