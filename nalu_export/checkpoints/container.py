"""Opens a model file of any kind without running code from it; the content tells the kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from nalu_export.checkpoints import _foreign, _pt2, _safetensors, _torch_legacy, _torch_zip, _trusted
from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._nesting import check_nesting
from nalu_export.checkpoints._refusals import SAVE_INSTEAD, CodeError
from nalu_export.checkpoints._zip import names, open_archive
from nalu_export.checkpoints.factory import UserCode
from nalu_export.errors import InputError, option

__all__ = ["Contents", "Inert", "unpack"]

_UNSUMMED = "has no checksums, so that damage to a weight would not be noticed"

# Pickles start with their protocol (2 and later), or with the digits of torch's magic number (1).
_PICKLES = (b"\x80", f"L{_torch_legacy.MAGIC}L\n".encode())


@dataclass(frozen=True)
class Contents:
    """The content of a model file.

    Attributes:
        kind: ``"torch"``, ``"legacy torch"``, ``"safetensors"``, ``"torch.export"``, ``"torchscript"`` or
            ``"pickled module"``.
        payload: dict, list, tuple, str, bytes, int, float, bool, ``None``, tensors on the CPU (parameters and
            subclasses as plain tensors), and :class:`Inert` for any other object. Keys of a dict that are not plain
            scalars are :class:`Inert` too. It is nested at most 500 deep and has no cycles.
        metadata: texts beside the tensors, in safetensors files.
        notes: remarks for the user, each to be put after the name of the file.
        modules: modules in a trusted file, by the keys that lead to them; ``payload`` has their state_dicts.
    """

    kind: str
    payload: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    modules: Mapping[str, nn.Module] = field(default_factory=dict)


def trusted_note() -> str:
    """What is said of a file whose code ran."""
    return f"was loaded with {option('trust', True)}, which ran code in it"


def unpack(data: bytes, *, trust: bool = False, code: UserCode | None = None) -> Contents:
    """Read the content of a model file; this takes at most 64 times the size of the file and 64 MiB of memory.

    Args:
        data: the file.
        trust: whether a file that cannot be read otherwise may run its code.
        code: the user's own code, which may have the classes of such a file.

    Raises:
        InputError: the file is no model file, is damaged or needs code; the text says what to do.
    """
    try:
        return _unpack(data, trust, code)
    except MemoryError as error:
        raise InputError("has tensors that need more memory than there is") from error


def _unpack(data: bytes, trust: bool, code: UserCode | None) -> Contents:
    # Safetensors comes first: such a file begins with a number, which may look like the beginning of another format.
    if _safetensors.recognises(data):
        payload, metadata = _safetensors.read(data)
        return Contents("safetensors", payload, metadata)
    if data.startswith(b"PK"):
        return _archive(data, trust, code)
    if data.startswith(_PICKLES):
        return _pickle(data, trust, code, "legacy torch", lambda: _torch_legacy.read(data))
    raise InputError(_foreign.refusal(data))


def _archive(data: bytes, trust: bool, code: UserCode | None) -> Contents:
    # A TorchScript archive is recognised by its names alone, because torch compresses the code in it.
    if any(name.endswith("/constants.pkl") for name in names(data)):
        if not trust:
            raise InputError(
                f"is a TorchScript archive, which runs code when loaded; {SAVE_INSTEAD}, "
                f"or give {option('trust', True)} if you made it yourself"
            )
        return Contents("torchscript", _trusted.torchscript(data), notes=(trusted_note(),))
    archive = open_archive(data)
    notes = () if archive.summed else (_UNSUMMED,)
    if _pt2.recognises(archive):
        return Contents("torch.export", _checked(_pt2.read(archive)), notes=notes)
    return _pickle(data, trust, code, "torch", lambda: _torch_zip.read(archive), notes)


def _pickle(
    data: bytes,
    trust: bool,
    code: UserCode | None,
    kind: str,
    read: Callable[[], Any],
    notes: tuple[str, ...] = (),
) -> Contents:
    try:
        return Contents(kind, _checked(read()), notes=notes)
    except CodeError:
        # Only a file that needs code is loaded with code, even if the user trusts it.
        if not trust:
            raise
    payload, modules = _trusted.pickled(data, code)
    return Contents("pickled module", payload, notes=(*notes, trusted_note()), modules=modules)


def _checked(payload: Any) -> Any:
    check_nesting(payload)
    return payload
