"""The module that an export and a check start from: out of its wrappers, known by its weights, copied in float32."""

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
    """A model with what is known of its origin; that of a module is its state_dict: names, types, shapes and bytes.

    Raises:
        InputError: the file cannot be read, an option says how to read one where there is none, or the module holds
            something else than dense tensors of numbers.
    """
    if not isinstance(source, nn.Module):
        return read_as(source, options)
    options.refuse_for_a_module()
    module, notes = unwrapped(source)
    refuse_what_holds_no_numbers(module)
    return Checkpoint(module, digest_of(module), notes)


def prepare(model: nn.Module, *, finite: bool = True) -> tuple[nn.Module, tuple[str, ...]]:
    """A copy to export, see :func:`copied`, of what is inside the wrappers of a model; and what that changed.

    Raises:
        InputError: see :func:`copied`.
    """
    module, notes = unwrapped(model)
    subject, more = copied(module, finite=finite)
    return subject, (*notes, *more)


def digest_of(model: nn.Module) -> str:
    """SHA-256 of a state_dict: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        # get_extra_state may give anything.
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
