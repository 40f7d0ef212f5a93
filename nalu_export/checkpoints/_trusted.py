"""Files that run code when they are loaded, for those who trust where they are from."""

import io
import os
import sys
import warnings
import zipfile
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export import _jit
from nalu_export.checkpoints._inert import Inert, of_type
from nalu_export.errors import InputError, first_line
from nalu_export.text import printable, short

# A file that is trusted may still be odd: what is nested deeper is not looked into.
_MAX_DEPTH = 50


def torchscript(data: bytes) -> Any:
    """The state_dict of a TorchScript archive.

    Raises:
        InputError: torch cannot load it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            broken = archive.testzip()
        if broken is None:
            return _plain(_jit.load(data))
    except Exception as error:
        # Whatever zipfile does not foresee, and what the code in the archive raises.
        what = printable(first_line(error)[:200])
        raise InputError(f"is a TorchScript archive that torch cannot load: {what}") from error
    # torch itself does not look.
    raise InputError(f"is damaged: the checksum of {short(broken)} does not match")


def pickled(data: bytes) -> tuple[Any, nn.Module | None]:
    """What a file of ``torch.save`` holds, modules as their state_dicts; and the module, where it is one.

    Raises:
        InputError: torch cannot load it, because a class is not there for example.
    """
    sys.path.insert(0, os.getcwd())  # a console script does not have the working directory on its path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the source of a class has changed since, for example
            loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
            return _plain(loaded), loaded if isinstance(loaded, nn.Module) else None
    except Exception as error:
        # Whatever the code in the file raises, and what importing its classes raises.
        what = printable(f"{type(error).__name__}: {first_line(error)[:200]}")
        raise InputError(f"cannot be loaded: {what}; run this where the classes in it can be imported") from error
    finally:
        sys.path.pop(0)


def _plain(value: Any, depth: int = 0) -> Any:
    """Tensors and plain containers, modules as their state_dicts, all else by name."""
    if depth > _MAX_DEPTH:
        return of_type(type(value))
    if isinstance(value, nn.Module):
        value = value.state_dict()
    if isinstance(value, Tensor):
        return value.detach().as_subclass(Tensor)
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item, depth + 1) for item in value)
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    return Inert(f"a value of type {type(value).__module__}.{type(value).__qualname__}")
