"""Check an artifact against its source at any later time."""

import os
from collections.abc import Sequence
from typing import Any

from torch import nn

from nalu_export import formats
from nalu_export import runtimes as all_runtimes
from nalu_export.artifact import Artifact, read_artifact
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.read import Factory
from nalu_export.errors import InputError
from nalu_export.exporting import prepare
from nalu_export.inputs import free_sizes, sample_shape, sweep
from nalu_export.parity import CheckOptions, Report, check_bytes
from nalu_export.weights import COMPUTE, Compute


def check(
    source: nn.Module | str | os.PathLike[str],
    artifact: Artifact | str | os.PathLike[str],
    /,
    runtimes: Sequence[str] | None = None,
    *,
    model: Factory | None = None,
    input_size: Sequence[int] | None = None,
    **options: Any,
) -> Report:
    """Check that an exported file computes what a model computes.

    Args:
        source: a module or the path of a ``model.pt``.
        artifact: the exported file, also one of another tool: then it is taken for float32.
        runtimes: names of runtimes; by default the one that checks an export of this format.
        model: builds the module that the weights of a file go into, see :func:`nalu_export.load`.
        input_size: (H, W), for a model that takes images.
        **options: the attributes of :class:`nalu_export.parity.CheckOptions`: ``samples``, ``seed``, ``rtol``,
            ``atol``, ``tf32``.

    Returns:
        The report; ``report.passed`` is the verdict.

    Raises:
        InputError: a file or an option cannot be used.
        RuntimeUnavailableError: a runtime is not there.
    """
    try:
        settings = CheckOptions(**options)
    except TypeError as error:
        raise InputError(f"check takes no such option: {error}") from error
    found = artifact if isinstance(artifact, Artifact) else read_artifact(artifact)
    names = list(dict.fromkeys(runtimes or [formats.get(found.format).runtime]))
    _refuse_wrong_runtimes(names, found)
    module = source if isinstance(source, nn.Module) else read_checkpoint(source, model).model
    subject, _ = prepare(module)
    return check_bytes(subject, found.data, _shapes(subject, found, input_size), _compute(found), names, settings)


def _refuse_wrong_runtimes(names: Sequence[str], artifact: Artifact) -> None:
    for name in names:
        wanted = all_runtimes.get(name).format
        if wanted not in (None, artifact.format):
            raise InputError(f"runtime {name} runs {wanted}, {artifact.path} is {artifact.format}")


def _compute(artifact: Artifact) -> Compute:
    value = artifact.metadata.get("compute", "float32")
    if value not in COMPUTE:
        raise InputError(f"{artifact.path}: its metadata says compute {value!r}; expected {' or '.join(COMPUTE)}")
    return value  # type: ignore[no-any-return]


def _shapes(model: nn.Module, artifact: Artifact, size: Sequence[int] | None) -> list[tuple[int, ...]]:
    """The shapes that the artifact claims to take: free axes are swept, fixed ones are kept."""
    declared = tuple((artifact.metadata.get("inputs") or [{}])[0].get("shape", ()))
    if len(declared) == 4 and all(isinstance(axis, int) for axis in declared[1:]):
        if size is not None and tuple(size) != declared[2:]:
            raise InputError(f"{artifact.path}: takes {declared[2]}×{declared[3]} images only")
        return [declared[1:]]
    shape = sample_shape(model, size)
    return sweep(model, shape) if len(shape) == 3 and (not declared or free_sizes(declared)) else [shape]
