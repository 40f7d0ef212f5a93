"""This package's own file format, in torch or safetensors files.

A file holds the description of the model as data, its weights and their origin.
"""

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from nalu_export.checkpoints.container import Contents
from nalu_export.checkpoints.description import Description, build, describe
from nalu_export.errors import InputError
from nalu_export.io.assumption import Assumption, is_assumptions
from nalu_export.io.json_text import parse
from nalu_export.io.targets import check_target, write_atomically
from nalu_export.io.text import short

FORMAT = "nalu_export"
VERSION = 1
SAFETENSORS = ".safetensors"
# Limit of a description as text, in characters.
MAX_JSON = 1_000_000


def save(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write ``model`` to one self-contained file that holds data only; :func:`nalu_export.load` reads it.

    The file holds ``format``, ``version``, ``model`` (layers and their arguments as plain data; ``None`` if the model
    has layers of the user's own) and the tensors of its ``state_dict``, bit for bit. The same model gives the same
    bytes.

    Args:
        model: any module. A module made of this package's layers and stock ``torch.nn`` layers needs no code to load.
        path: path of the file. ``.safetensors`` gives that format, any other name a dict by ``torch.save``. An existing
            file is replaced in one step, and stays if writing fails.

    Raises:
        InputError: the folder does not exist or cannot be written, or the disk is full.
    """
    target = Path(path)
    write(model, check_target(target, None), target.suffix, describe(model))


def write(
    model: nn.Module,
    place: Path,
    suffix: str,
    description: Description | None,
    source_sha256: str | None = None,
    assumptions: Sequence[Assumption] = (),
) -> None:
    """Write a model that has a description already; otherwise as :func:`save`.

    Args:
        model: any module.
        place: path of the file, as :func:`nalu_export.io.targets.check_target` gives it.
        suffix: suffix of the path that the user gave, which decides the format; ``place`` may have another if that
            path is a link.
        description: description of the model.
        source_sha256: SHA-256 of the file that the model was read from.
        assumptions: assumptions made when the model was read; a reader of the new file sees them again.
    """
    state = {name: _own(value.detach().cpu()) for name, value in model.state_dict().items()}
    about = {"format": FORMAT, "version": VERSION, "model": description}
    about |= {} if source_sha256 is None else {"source_sha256": source_sha256}
    about |= {"assumptions": [asdict(each) for each in assumptions]} if assumptions else {}
    write_atomically(place, _safetensors(about, state) if suffix == SAFETENSORS else _torch(about, state))


def _torch(about: dict[str, Any], state: dict[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    # With a path instead of a buffer, torch would write the name of the path into the archive.
    torch.save(about | {"state_dict": state}, buffer)
    return buffer.getvalue()


def _safetensors(about: dict[str, Any], state: dict[str, Tensor]) -> bytes:
    # A single entry: safetensors writes several entries in an order that changes with each process.
    metadata = {FORMAT: json.dumps(about, sort_keys=True)}
    # safetensors refuses tensors that share memory, such as those of a module that is used twice.
    return safetensors.torch.save({name: value.clone() for name, value in state.items()}, metadata)


def _own(value: Tensor) -> Tensor:
    """Return the tensor without the rest of a larger storage behind it, because torch.save would write all of that."""
    value = value.contiguous()
    return value if value.untyped_storage().nbytes() == value.nbytes else value.clone()


def native_payload(contents: Contents) -> Mapping[str, Any] | None:
    """Return the content of a file in our own format; ``None`` for a file in another format.

    Raises:
        InputError: the description in a safetensors file is not a JSON object.
    """
    text = contents.metadata.get(FORMAT)
    if text is not None:
        try:
            about = parse(text) if len(text) <= MAX_JSON else None
        except ValueError:
            about = None
        if not isinstance(about, dict):
            raise InputError(f"has metadata {FORMAT!r} that does not describe a model; was the file changed?")
        return {**about, "state_dict": contents.payload}
    payload = contents.payload
    said = payload.get("format") if type(payload) is dict else None
    # The type is checked first, because comparing a tensor compares each of its numbers.
    return payload if type(said) is str and said == FORMAT else None


def assumptions_of(payload: Mapping[str, Any]) -> tuple[Assumption, ...]:
    """Return the assumptions that were made when the file was written.

    Raises:
        InputError: the entry is not one that :func:`write` writes.
    """
    given = payload.get("assumptions", [])
    if not is_assumptions(given):
        raise InputError("has assumptions that are not what nalu_export writes; was the file changed?")
    return tuple(Assumption(**each) for each in given)


def read_native(payload: Mapping[str, Any]) -> tuple[nn.Module | None, Any]:
    """Return the module on the meta device (``None`` if the file does not describe it) and the state_dict.

    Raises:
        InputError: the file has another version, or its description cannot be built.
    """
    version = payload.get("version")
    if type(version) is not int or version != VERSION:
        raise InputError(f"is in version {short(version)} of the nalu_export format; this release reads {VERSION}")
    description = payload.get("model")
    return (None if description is None else build(description)), payload.get("state_dict")
