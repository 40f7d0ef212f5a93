"""Our own ``model.pt``: a dict that ``torch.load(weights_only=True)`` reads, with the model described as data."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.checkpoints.description import build, describe
from nalu_export.errors import InputError
from nalu_export.files import check_target, write_atomically
from nalu_export.text import short

FORMAT = "nalu_export"
VERSION = 1


def save(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write ``model`` to one self-contained file that holds data only; :func:`nalu_export.load` reads it.

    The file is a dict: ``format``, ``version``, ``model`` (layers and their arguments as plain data, ``None`` where the
    model has layers of the user's own) and ``state_dict``. The same model gives the same bytes.

    Args:
        model: any module; those made of this package's layers and stock ``torch.nn`` layers need no code to load.
        path: where to; an existing file is replaced in one step, and stays if writing fails.

    Raises:
        InputError: the folder is not there or cannot be written, or the disk is full.
    """
    target = Path(path)
    check_target(target, None)
    state = {name: _own(value.detach().cpu()) for name, value in model.state_dict().items()}
    buffer = io.BytesIO()
    # Through a buffer: given a path, torch writes the path's name into the archive.
    torch.save({"format": FORMAT, "version": VERSION, "model": describe(model), "state_dict": state}, buffer)
    write_atomically(target, buffer.getvalue())


def _own(value: Tensor) -> Tensor:
    """The tensor without the rest of a larger storage that it may be a view of: torch.save would write all of it."""
    value = value.contiguous()
    return value if value.untyped_storage().nbytes() == value.nbytes else value.clone()


def is_native(payload: Any) -> bool:
    """Whether the content of a file claims to be ours."""
    return isinstance(payload, dict) and payload.get("format") == FORMAT


def read_native(payload: dict[str, Any]) -> tuple[nn.Module | None, Any]:
    """The module on the meta device, ``None`` where the file describes none, and the state_dict.

    Raises:
        InputError: another version, or a description that cannot be built.
    """
    version = payload.get("version")
    if type(version) is not int or version != VERSION:
        raise InputError(f"is in version {short(version)} of the nalu_export format; this release reads {VERSION}")
    description = payload.get("model")
    return (None if description is None else build(description)), payload.get("state_dict")
