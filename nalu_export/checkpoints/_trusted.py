"""Files that run code when they are loaded, for those who trust where they are from."""

import io
import re
import zipfile
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.checkpoints._inert import Inert, of_type
from nalu_export.checkpoints._refusals import unreadable
from nalu_export.checkpoints._user_file import importing_from
from nalu_export.checkpoints.factory import UserCode
from nalu_export.checkpoints.whole import modules_in
from nalu_export.errors import InputError, first_line, option
from nalu_export.io.text import printable, short
from nalu_export.modules import jit
from nalu_export.process.locks import own_warnings

# A file that is trusted may still be odd: what is nested deeper is not looked into.
_MAX_DEPTH = 50
# How pickle says that the script that saved a file is not the program that reads it.
_NOT_IN_MAIN = re.compile(r"Can't get attribute '([^']+)' on <module '(?:[\w.]+\.)?__(?:mp_)?main__'")


def torchscript(data: bytes) -> Any:
    """The state_dict of a TorchScript archive.

    Raises:
        InputError: torch cannot load it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            broken = archive.testzip()
        if broken is None:
            return _plain(jit.load(data))
    except Exception as error:
        # Whatever zipfile does not foresee, and what the code in the archive raises.
        what = printable(first_line(error)[:200])
        raise InputError(f"is a TorchScript archive that torch cannot load: {what}") from error
    # torch itself does not look.
    raise unreadable(f"is damaged: the checksum of {short(broken)} does not match")


def pickled(data: bytes, code: UserCode | None = None) -> tuple[Any, dict[str, nn.Module]]:
    """What a file of ``torch.save`` holds, modules as their state_dicts; and the modules by the keys to them.

    Args:
        data: all of the file.
        code: the file of the user's, if any, whose names the script that saved the pickle had.

    Raises:
        InputError: torch cannot load it, because a class is not there for example.
    """
    with importing_from() if code is None else code.lent():
        try:
            with own_warnings(ignored=True):  # that the source of a class has changed since, for example
                loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
                return _plain(loaded), modules_in(loaded)
        except Exception as error:
            # Whatever the code in the file raises, and what importing its classes raises.
            raise InputError(f"cannot be loaded: {_reason(error, code)}") from error


def _reason(error: Exception, code: UserCode | None) -> str:
    lost = _NOT_IN_MAIN.match(first_line(error))
    if lost is None:
        what = printable(f"{type(error).__name__}: {first_line(error)[:200]}")
        return f"{what}; run this where the classes in it can be imported"
    name = printable(lost[1][:200])
    if code is None or code.file is None:
        return f"it needs {name} of the script that saved it; give that file with {option('model', 'FILE.py')}"
    return f"it needs {name} of the script that saved it, and {code.file} has no {name}"


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
