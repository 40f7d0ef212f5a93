"""Reads weights that were saved in several files. Numbers in their names, or an index, say which belong together."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._repetition import without_repetition
from nalu_export.checkpoints.container import Contents, unpack
from nalu_export.checkpoints.factory import UserCode
from nalu_export.errors import InputError
from nalu_export.io.files import read_bytes
from nalu_export.io.json_text import parse
from nalu_export.io.text import plain, short

# Largest size of an index in bytes. It lists tensors, of which a file may have 50,000.
MAX_INDEX = 10_000_000
MAX_SHARDS = 1000
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{1,6})-of-(?P<count>\d{1,6})(?P<suffix>\.[^./]+)", re.DOTALL)
_INDICES = re.compile(r"(?P<stem>.+?)(?:\.[^.]+)?\.index\.json", re.DOTALL)
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")
_INDEX = ".index.json"
_MAP = "weight_map"
# File systems allow no longer names.
MAX_NAME = 255


@dataclass(frozen=True)
class Gathered:
    """The content of one file or of several.

    Attributes:
        contents: content of all files.
        sha256: SHA-256 of the file. For several files: SHA-256 of their concatenated hashes, in the order of their
            names.
        size: bytes of all files.
    """

    contents: Contents
    sha256: str
    size: int


def gather(path: Path, *, trust: bool = False, code: UserCode | None = None) -> Gathered:
    """Read a file, and all other files that hold weights of the same model.

    Args:
        path: a file, one of several files, an index of several files, or a folder with such an index.
        trust: see :func:`nalu_export.checkpoints.container.unpack`.
        code: see :func:`nalu_export.checkpoints.container.unpack`.

    Raises:
        InputError: a file is missing or is not a model file; or two files hold the same tensor, or the files do not
            hold what the index says. The text begins with the path of the file that it is about.
    """
    with about(path):
        path = _index_in(path) if _is_folder(path) else path
    data = read_bytes(path)
    with about(path):
        listing = _index(data)
        if listing is not None:
            files, folder = sorted(set(listing.values())), path.parent
        else:
            files, folder = _siblings(path)
        if not files:
            return Gathered(unpack(data, trust=trust, code=code), hashlib.sha256(data).hexdigest(), len(data))
        del data
        _refuse_missing(folder, files)
    join = _Join(listing)
    for file in files:
        read = read_bytes(_inside(folder, file), beside=join.size)
        with about(folder / file):
            join.add(file, read, unpack(read, trust=trust, code=code))
    return join.gathered()


def name_of(file: str) -> str:
    """Return the name of a model, without suffix and number: ``"net"`` for ``"net.pt"`` and for ``"net-1-of-2.pt"``.

    Args:
        file: name of a file or folder, without its path.
    """
    match = _SHARD.fullmatch(file) or _INDICES.fullmatch(file)
    return PurePath(file).stem if match is None else match["stem"]


@contextmanager
def about(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within this context, the text of an InputError begins with ``path``."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # reading it gives the error about an invalid path
        return False


def _index_in(folder: Path) -> Path:
    """Return the path of the only index in a folder."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from error
    found = [name for name in names if name.endswith(_INDEX)]
    if len(found) == 1:
        return folder / found[0]
    if found:
        raise InputError(f"is a directory with several index files; give one of {', '.join(map(plain, found[:5]))}")
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        raise InputError(
            "is a checkpoint of torch.distributed.checkpoint; make one file of it: "
            "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt"
        )
    if "adapter_config.json" in names:
        raise InputError(
            "is a directory of PEFT adapters, which change weights of another file; merge them with "
            "model = peft_model.merge_and_unload() and save model.state_dict()"
        )
    raise InputError("is a directory; give the path of a file")


def _index(data: bytes) -> dict[str, str] | None:
    """Return the file of each tensor if ``data`` is an index; ``None`` for any other file."""
    if not _JSON.match(data[:100]) or len(data) > MAX_INDEX:
        if _JSON.match(data[:100]) and f'"{_MAP}"'.encode() in data[:MAX_INDEX]:
            raise InputError(f"is an index of {len(data):,} bytes; at most {MAX_INDEX:,} are read")
        return None
    try:
        found = parse(data, without_repetition(InputError, "is an index that"))
    except InputError:
        raise
    except ValueError:
        return None
    if not isinstance(found, dict) or _MAP not in found:
        return None
    listing = found[_MAP]
    if not isinstance(listing, dict) or not listing:
        raise InputError(f"is an index whose {_MAP} lists no tensors; give the path of a file of weights")
    for name, file in listing.items():
        if not _is_plain(file):
            raise InputError(
                f"is an index that lists {short(file)} as the file of {short(name)}; expected the plain name "
                "of a file beside it"
            )
    if len(set(listing.values())) > MAX_SHARDS:
        raise InputError(f"is an index of more than {MAX_SHARDS:,} files; join them first")
    return listing


def _is_plain(file: object) -> bool:
    """Return whether a value is a plain name of a file in the folder, on every operating system."""
    return (
        isinstance(file, str)
        and 0 < len(file) <= MAX_NAME
        and file.isprintable()
        and file not in (".", "..")
        and not set(file) & set("/\\:")
    )


def _siblings(path: Path) -> tuple[list[str], Path]:
    """Return the names of all files that a numbered file belongs to, and their folder; no names for a single file."""
    match = _SHARD.fullmatch(path.name)
    if match is None:
        # The file behind a link may have a number.
        path = Path(os.path.realpath(path))
        match = _SHARD.fullmatch(path.name)
    if match is None or int(match["count"]) == 1 == int(match["number"]):
        return [], path.parent
    number, count = int(match["number"]), int(match["count"])
    if number > count or count > MAX_SHARDS:
        allowed = f"expected a number up to the count, and a count of at most {MAX_SHARDS:,}"
        raise InputError(f"has the number {number:,} of {count:,} in its name; {allowed}")
    # Some tools count from 0.
    first = 0 if number == 0 or _named(match, 0) in _names(path.parent) else 1
    return [_named(match, index) for index in range(first, first + count)], path.parent


def _named(match: re.Match[str], number: int) -> str:
    return f"{match['stem']}-{number:0{len(match['number'])}}-of-{match['count']}{match['suffix']}"


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _refuse_missing(folder: Path, files: list[str]) -> None:
    missing = next((file for file in files if not os.path.lexists(folder / file)), None)
    if missing is not None:
        raise InputError(
            f"is part of a model in {len(files):,} file{'s' if len(files) > 1 else ''}, and {plain(missing)} is not "
            "beside it; put all of them into one folder"
        )


def _inside(folder: Path, file: str) -> Path:
    """Return the path of a file; refuse a link to another folder, so that an index cannot choose what is read there.

    Links of the Hugging Face hub's cache from ``snapshots/REVISION`` to ``blobs`` are allowed.
    """
    path, own = folder / file, os.path.realpath(folder)
    above, name = os.path.split(os.path.dirname(own))
    allowed = {own, os.path.join(above, "blobs")} if name == "snapshots" else {own}
    if os.path.dirname(os.path.realpath(path)) not in allowed:
        raise InputError(f"{path}: is a link to a file outside its folder; copy that file into the folder")
    return path


@dataclass
class _Join:
    """Joins the tensors of several files.

    Attributes:
        listing: file of each tensor, if there is an index.
        listed: the tensors of each file in ``listing``.
        size: bytes of the files.
        owners: file of each tensor that was read.
        state: the tensors.
        notes: remarks for the user.
        digests: SHA-256 of each file.
    """

    listing: Mapping[str, str] | None
    listed: dict[str, dict[str, None]] = field(default_factory=dict)
    size: int = 0
    owners: dict[str, str] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    digests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, file in (self.listing or {}).items():
            self.listed.setdefault(file, {})[name] = None

    def add(self, file: str, data: bytes, contents: Contents) -> None:
        """Add a file.

        Raises:
            InputError: the file holds other data than tensors, or not the tensors that it should hold.
        """
        payload = contents.payload
        if contents.modules or not isinstance(payload, dict):
            raise InputError(
                f"holds a {type(payload).__name__}; each file of a model in several files must hold a state_dict"
            )
        for unnamed in (name for name in payload if type(name) is not str):
            what = unnamed.what if isinstance(unnamed, Inert) else short(unnamed)
            raise InputError(f"has {what} as a name; each file of a model in several files must hold a state_dict")
        twice = next((name for name in payload if name in self.owners), None)
        if twice is not None:
            raise InputError(
                f"has {short(twice)}, which {self.owners[twice]} has too; check that the files belong to one model"
            )
        if self.listing is not None:
            self._compare(file, payload)
        self.size += len(data)
        self.digests.append(hashlib.sha256(data).digest())
        self.owners |= dict.fromkeys(payload, file)
        self.state |= payload
        self.notes |= dict.fromkeys(contents.notes)

    def _compare(self, file: str, payload: Mapping[Any, Any]) -> None:
        listed = self.listed.get(file, {})
        lacking = next((name for name in listed if name not in payload), None)
        if lacking is not None:
            raise InputError(
                f"lacks {short(lacking)}, which the index lists for it; check that the files belong to one model"
            )
        extra = next((name for name in payload if name not in listed), None)
        if extra is not None:
            raise InputError(
                f"has {short(extra)}, which the index does not list for it; check that the files belong to one model"
            )

    def gathered(self) -> Gathered:
        """Return the content of all files, as if they were one file."""
        files = list(dict.fromkeys(self.owners.values()))
        shown = ", ".join(map(plain, files[:3])) + (" …" if len(files) > 3 else "")
        notes = (f"joined from {len(self.digests)} files: {shown}", *self.notes)
        digest = hashlib.sha256(b"".join(self.digests)).hexdigest()
        return Gathered(Contents("shards", self.state, notes=notes), digest, self.size)
