"""The module that an export and a check start from: unwrapped, identified by a digest of its weights, copied."""

import hashlib
import os

import torch
from torch import Tensor, nn

from nalu_export.checkpoints import Checkpoint, ReadOptions, read_as
from nalu_export.source._copying import copied
from nalu_export.source._refusals import refuse_what_holds_no_numbers
from nalu_export.source._wrappers import unwrapped

__all__ = ["copied", "digest_of", "prepare", "source_of", "unwrapped"]


def source_of(source: nn.Module | str | os.PathLike[str], options: ReadOptions) -> Checkpoint:
    """Return a model with its origin; a module's digest covers its state_dict: names, types, shapes and bytes.

    Raises:
        InputError: the file cannot be read, a reading option is given for a module, or the module holds something else
            than dense tensors of numbers.
    """
    if not isinstance(source, nn.Module):
        return read_as(source, options)
    options.refuse_for_a_module()
    module, notes = unwrapped(source)
    refuse_what_holds_no_numbers(module)
    return Checkpoint(module, digest_of(module), notes)


def prepare(model: nn.Module, *, finite: bool = True) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a copy for the export (see :func:`copied`) of the module inside the wrappers, and notes of the changes.

    Raises:
        InputError: see :func:`copied`.
    """
    module, notes = unwrapped(model)
    subject, more = copied(module, finite=finite)
    return subject, (*notes, *more)


def digest_of(model: nn.Module) -> str:
    """Return the SHA-256 of a state_dict: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        # get_extra_state may return any object.
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
