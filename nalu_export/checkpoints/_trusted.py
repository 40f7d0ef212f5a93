"""Loads files whose loading runs code; only used with ``--trust``."""

import io
import re
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.checkpoints._inert import Inert, of_type
from nalu_export.checkpoints._user_file import importing_from
from nalu_export.checkpoints._zip import refusal
from nalu_export.checkpoints.factory import UserCode
from nalu_export.checkpoints.whole import modules_in
from nalu_export.errors import InputError, first_line, option
from nalu_export.io.archives import Archive, ArchiveError, Limits
from nalu_export.io.text import printable
from nalu_export.modules import jit
from nalu_export.process.locks import own_warnings

# A trusted file may still be odd: values that are nested deeper are only named by their type.
_MAX_DEPTH = 50
# pickle's error where a file needs a name of the script that saved it.
_NOT_IN_MAIN = re.compile(r"Can't get attribute '([^']+)' on <module '(?:[\w.]+\.)?__(?:mp_)?main__'")


def torchscript(data: bytes) -> Any:
    """Return the state_dict of a TorchScript archive.

    Raises:
        InputError: the archive is damaged, or torch cannot load it.
    """
    try:
        for member in Archive(data, Limits(deflated=True)).members():
            member.verify()
    except ArchiveError as error:
        raise refusal(error) from error
    try:
        return _plain(jit.load(data))
    except Exception as error:
        # Whatever the code in the archive raises.
        what = printable(first_line(error)[:200])
        raise InputError(f"is a TorchScript archive that torch cannot load: {what}") from error


def pickled(data: bytes, code: UserCode | None = None) -> tuple[Any, dict[str, nn.Module]]:
    """Load a file of ``torch.save``.

    Args:
        data: the file.
        code: the user's code, if any, with the names of the script that saved the pickle.

    Returns:
        The content, with modules as their state_dicts; and the modules by the keys that lead to them.

    Raises:
        InputError: torch cannot load it, for example because a class is missing.
    """
    with importing_from() if code is None else code.lent():
        try:
            with own_warnings(ignored=True):  # for example that the source of a class has changed
                loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
                return _plain(loaded), modules_in(loaded)
        except Exception as error:
            # The code in the file, and the import of its classes, may raise any error.
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
    """Keep tensors and plain containers; replace a module by its state_dict, and other objects by an :class:`Inert`."""
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
