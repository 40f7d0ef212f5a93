"""From any checkpoint that can be read to one self-contained file of our own."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.description import describe
from nalu_export.checkpoints.factory import Factory
from nalu_export.checkpoints.native import write
from nalu_export.files import check_target


@dataclass(frozen=True)
class Converted:
    """A file that was written.

    Attributes:
        path: where it is.
        source_sha256: of the file that it was made from.
        layout: the public layout that this file was in, ``None`` for a file of ours.
        notes: what had to be assumed, one line each.
        self_contained: whether it holds the layers as well as the weights, so that reading it needs no code.
    """

    path: Path
    source_sha256: str
    layout: str | None
    notes: tuple[str, ...]
    self_contained: bool


def convert(
    source: str | os.PathLike[str], path: str | os.PathLike[str], model: Factory | None = None, **options: Any
) -> Converted:
    """Write a checkpoint in this package's own format: layers as data, weights with every bit as it was.

    Args:
        source: any file that :func:`nalu_export.load` reads; it is not changed.
        path: where to; ``.safetensors`` writes that format, any other name a file of ``torch.save``.
        model: as in :func:`nalu_export.load`.
        **options: as there.

    Raises:
        InputError: the source cannot be read or the target cannot be written.
    """
    target = Path(path)
    check_target(target, Path(source))
    checkpoint = read_checkpoint(source, model, **options)
    description = describe(checkpoint.model)
    write(checkpoint.model, target, description, checkpoint.sha256)
    return Converted(target, checkpoint.sha256, checkpoint.layout, checkpoint.notes, description is not None)
