"""Converts a checkpoint of any kind that can be read to a file in this package's own format."""

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
    """The result of a conversion.

    Attributes:
        path: path of the file that was written.
        source_sha256: SHA-256 of the source.
        layout: name of the public layout of the source; ``None`` for other sources.
        notes: how the source was read, one line each.
        assumptions: facts that decide what the model computes and that the source does not contain. The file that was
            written has them too.
        self_contained: whether the file has a description of the layers besides the weights, so that no code of the
            user is needed to load it.
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
    """Convert a checkpoint to this package's own format: layers as data, weights bit for bit.

    Args:
        source: path of any file that :func:`nalu_export.load` reads; it is not changed.
        path: path of the new file; an existing file is replaced. A name that ends in ``.safetensors`` gives that
            format, any other name a dict by ``torch.save``.
        model: builds the module that the weights go into, see :func:`nalu_export.load`.
        **options: how else to read the source, see :func:`nalu_export.load`: ``layout``, ``eps``, ``prefix``, ``key``,
            ``backbone``, ``task``, ``trust``, ``strict``.

    Returns:
        What was written and how the source was read.

    Raises:
        InputError: the source cannot be read, an option cannot be used, or the new file cannot be written.
    """
    target = path if isinstance(path, Path) else Path(path)
    place = check_target(target, Path(source))
    checkpoint = read_checkpoint(source, model, **options)
    description = describe(checkpoint.model)
    assumed = checkpoint.assumptions
    write(checkpoint.model, place, target.suffix, description, checkpoint.sha256, assumed)
    return Converted(target, checkpoint.sha256, checkpoint.layout, checkpoint.notes, assumed, description is not None)
