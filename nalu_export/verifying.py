"""Holds a file against its model: the whole, and each arithmetic part of it alone."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from nalu_export import formats, runtimes
from nalu_export.inputs import sample_shape
from nalu_export.nn.parts import arithmetic_parts
from nalu_export.parity import CheckOptions, Report, Row, check_bytes
from nalu_export.parity.check import Progress
from nalu_export.parity.report import inputs, merge
from nalu_export.weights import Compute


def verify(
    model: nn.Module,
    data: bytes,
    format_name: str,
    shapes: Sequence[tuple[int, ...]],
    compute: Compute,
    names: Sequence[str],
    options: CheckOptions,
    *,
    decisive: Sequence[str] | None = None,
    skip_missing: bool = False,
    progress: Progress | None = None,
) -> Report:
    """:func:`nalu_export.parity.check_bytes`, and once more for each arithmetic part cut out of the file.

    Behind a backbone a head only ever sees what the backbone gives, and its bound has to allow for the backbone's
    error. Alone it is run over every family of inputs and held to its own bound. Each runtime gets one more row,
    ``head alone``, for all of that.

    Args:
        model: the source, float32.
        data: the artifact.
        format_name: its format.
        shapes: see :func:`nalu_export.parity.check_bytes`, as are the other arguments.
        compute: type of the arithmetic parts.
        names: runtimes to run.
        options: how.
        decisive: the runtimes that decide; by default all of them.
        skip_missing: whether a runtime may be missing.
        progress: called with a text, the steps done and their number.
    """
    report = check_bytes(
        model, data, shapes, compute, names, options, decisive=decisive, skip_missing=skip_missing, progress=progress
    )
    ran = [found.name for found in report.runtimes if found.decisive and runtimes.get(found.name).format == format_name]
    if not ran or options.only_inputs:
        return report
    alone = replace(options, inputs={}, samples=None)
    for path, part in arithmetic_parts(model).items():
        piece = formats.get(format_name).part(data, path) if path else None
        if piece is None:
            continue
        found = check_bytes(part, piece, [sample_shape(part, None)], compute, ran, alone, progress=progress)
        rows = tuple(
            merge(name, f"{path} alone", [_named(row) for row in found.rows if row.runtime == name]) for name in ran
        )
        known = {at.runtime for at in report.breaks}
        breaks = [
            replace(at, value=f"{path}.{at.value}") for at in found.breaks if at.value and at.runtime not in known
        ]
        report = replace(report, rows=(*report.rows, *rows), breaks=(*report.breaks, *breaks))
    return report


def _named(row: Row) -> Row:
    """The row with its family in the text of its problem, because it becomes part of another row."""
    return replace(row, problem=f"{inputs(row.family)}: {row.problem}") if row.problem else row
