"""From any checkpoint that can be read to one self-contained file of our own."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from nalu_export.checkpoints import FileKeywords, ReadOptions, read_checkpoint
from nalu_export.checkpoints.description import describe
from nalu_export.checkpoints.factory import Factory
from nalu_export.checkpoints.native import write
from nalu_export.io.assumption import Assumption
from nalu_export.io.keywords import public
from nalu_export.io.targets import check_target


@dataclass(frozen=True)
class Converted:
    """A file that was written.

    Attributes:
        path: where it is.
        source_sha256: of the file that it was made from.
        layout: the public layout that this file was in, ``None`` for a file of ours.
        notes: what was seen and done, one line each.
        assumptions: what decides what it computes and is not in the source; the file that was written holds them too.
        self_contained: whether it holds the layers as well as the weights, so that reading it needs no code.
    """

    path: Path
    source_sha256: str
    layout: str | None
    notes: tuple[str, ...]
    assumptions: tuple[Assumption, ...]
    self_contained: bool


@public(ReadOptions)
def convert(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    model: Factory | None = None,
    **options: Unpack[FileKeywords],
) -> Converted:
    """Write a checkpoint in this package's own format: layers as data, weights with every bit as it was.

    Args:
        source: any file that :func:`nalu_export.load` reads; it is not changed.
        path: where to; ``.safetensors`` writes that format, any other name a file of ``torch.save``.
        model: as in :func:`nalu_export.load`.
        **options: as there: ``layout``, ``eps``, ``prefix``, ``key``, ``backbone``, ``task``, ``trust``, ``strict``.

    Raises:
        InputError: the source cannot be read or the target cannot be written.
    """
    target = path if isinstance(path, Path) else Path(path)
    place = check_target(target, Path(source))
    checkpoint = read_checkpoint(source, model, **options)
    description = describe(checkpoint.model)
    assumed = checkpoint.assumptions
    write(checkpoint.model, place, target.suffix, description, checkpoint.sha256, assumed)
    return Converted(target, checkpoint.sha256, checkpoint.layout, checkpoint.notes, assumed, description is not None)
