"""Finds the checkpoints of a sweep, and a name for the results of each."""

import glob
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nalu_export.checkpoints.shards import name_of
from nalu_export.errors import InputError, option
from nalu_export.io.files import read_bytes
from nalu_export.io.text import plain, short

# What is taken of a folder. A pattern may match any file.
SUFFIXES = (".pt", ".pth", ".pt2", ".ckpt", ".bin", ".safetensors")
# Files that this package writes and that have such a suffix.
NOT_CHECKPOINTS = (".torchscript.pt",)
# Options of a list that run code, so the user has to say that the list is trusted.
RUN_CODE = ("model", "backbone", "trust")
LIST = "@"


@dataclass(frozen=True)
class Source:
    """A checkpoint of a sweep.

    Attributes:
        path: path of the file; of a model in several files, that of the first or of the index.
        name: path of its results in the folder of the sweep, without a suffix.
        options: options of this checkpoint alone.
        files: all files of the model.
    """

    path: Path
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def find(
    given: Iterable[str | os.PathLike[str]],
    *,
    known: Collection[str] = (),
    trust: bool = False,
    besides: Path | None = None,
) -> list[Source]:
    """Return the checkpoints of a sweep, sorted by path and each once.

    Args:
        given: paths of files and folders, patterns with ``*``, ``?``, ``[…]`` and ``**``, and lists as ``@list.txt``.
        known: names of the options that a line of a list may have.
        trust: whether a list may have options that run code.
        besides: folder whose files are left out: the one that the sweep writes.

    Raises:
        InputError: a path does not exist, a pattern matches no file, a folder holds no checkpoint, or a list is
            malformed; or there is nothing to do.
    """
    found: dict[Path, Source] = {}
    hidden = None if besides is None else Path(os.path.abspath(besides))
    for each in given:
        text = os.fspath(each)
        listed = _listed(Path(text[1:]), known, trust=trust) if text.startswith(LIST) else [Source(Path(text))]
        for source in listed:
            for path in _files(source.path):
                place = Path(os.path.abspath(path))
                if hidden is not None and hidden in place.parents:
                    continue
                # A line of a list with options counts more than a pattern that matches the same file.
                if place not in found or source.options:
                    found[place] = replace(source, path=path)
    groups: dict[tuple[Path, str], list[Path]] = {}
    for place in sorted(found):
        groups.setdefault(_group(place), []).append(place)
    sources = [replace(found[places[0]], files=tuple(_members(places))) for places in groups.values()]
    if not sources:
        raise InputError("there is no checkpoint to sweep; give paths, folders or patterns such as 'runs/**/*.pt'")
    return _named(sources)


def _files(path: Path) -> Iterator[Path]:
    """Yield the files of a path, a folder or a pattern."""
    text = str(path)
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if _is_checkpoint(each))
        if not inside:
            raise InputError(f"{path}: holds no checkpoint ({', '.join(SUFFIXES)}); give a pattern for other names")
        yield from inside
    elif path.exists() or not glob.has_magic(text):
        if not path.is_file():
            raise InputError(f"{path}: is not a file or folder that exists")
        yield path
    else:
        matched = sorted(filter(os.path.isfile, glob.iglob(text, recursive=True)))
        if not matched:
            raise InputError(f"{text}: no file matches this pattern")
        yield from map(Path, matched)


def _is_checkpoint(path: Path) -> bool:
    name = path.name
    return name.endswith(SUFFIXES) and not name.endswith(NOT_CHECKPOINTS) and path.is_file()


def _group(place: Path) -> tuple[Path, str]:
    """Return one key for all files of a model that is in several files, and a key of its own for any other file."""
    model = name_of(place.name)
    several = model != place.stem or place.name.endswith(".index.json")
    return place.parent, f"several {model}" if several else place.name


def _members(places: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of a model; those that no path and no pattern named as well."""
    folder, key = _group(places[0])
    if not key.startswith("several "):
        yield places[0]
        return
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    yield from (folder / name for name in names if _group(folder / name)[1] == key)


def _named(sources: Sequence[Source]) -> list[Source]:
    """Return the sources with names: their paths below the folder that all have in common.

    A name is that of the model, such as ``a/net`` for ``a/net.pt``. Where two sources would have one name, each keeps
    the suffix of its file: ``a/net.pt`` and ``a/net.safetensors``.
    """
    places = [Path(os.path.abspath(source.path)) for source in sources]
    root = Path(os.path.commonpath([place.parent for place in places]))
    full = [place.relative_to(root).as_posix() for place in places]
    names = [place.relative_to(root).with_name(name_of(place.name)).as_posix() for place in places]
    while True:
        # File systems may not tell upper from lower case.
        counts = Counter(name.casefold() for name in names)
        crowded = [place for place, name in enumerate(names) if counts[name.casefold()] > 1 and name != full[place]]
        if not crowded:
            return [replace(source, name=name) for source, name in zip(sources, names, strict=True)]
        for place in crowded:
            names[place] = full[place]


def _listed(path: Path, known: Collection[str], *, trust: bool) -> list[Source]:
    """Read a list: a path or a JSON object on each line, or a comment. Paths are relative to the folder of the list."""
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a list of paths in UTF-8") from error
    sources = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            about = _about(path, number)
            data = _parsed(line, about) if line.startswith("{") else {"path": line}
            place = path.parent / Path(data.pop("path")).expanduser()
            _check_options(data, known, about, trust=trust)
            sources.append(Source(place, options=data))
    if not sources:
        raise InputError(f"{path}: lists no path")
    return sources


def _about(path: Path, number: int) -> Callable[[str], InputError]:
    return lambda text: InputError(f"{path}, line {number}: {text}")


def _parsed(line: str, about: Callable[[str], InputError]) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise about('is not JSON; expected a path or {"path": "model.pt", "opset": 18}') from error
    if not isinstance(data, dict) or not isinstance(data.get("path"), str) or "\0" in data["path"]:
        raise about(f"has no path: {short(data)}")
    return data


def _check_options(
    data: Mapping[str, Any], known: Collection[str], about: Callable[[str], InputError], *, trust: bool
) -> None:
    for name in data:
        if name not in known:
            raise about(f"{plain(name)!r} is not an option of an export")
        if name in RUN_CODE and not trust:
            raise about(f"{name!r} runs code; a list may have it only with {option('trust', True)}")
