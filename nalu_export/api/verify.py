"""Holds a file against its model: the whole, and each arithmetic subgraph of it in isolation."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nalu_export import formats, runtimes
from nalu_export.errors import InputError
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import Compute
from nalu_export.graph.interface import Sizes
from nalu_export.io.text import plain
from nalu_export.parity import CheckOptions, Report, Row, check_bytes
from nalu_export.parity.check import Progress
from nalu_export.parity.report import inputs, merge


def verify(
    graph: ModelGraph,
    data: bytes,
    format_name: str,
    sizes: Sequence[Sizes],
    compute: Compute,
    names: Sequence[str],
    options: CheckOptions,
    *,
    decisive: Sequence[str] | None = None,
    skip_missing: bool = False,
    progress: Progress | None = None,
    opened: Callable[[], Any] | None = None,
) -> Report:
    """:func:`nalu_export.parity.check_bytes`, and once more for each arithmetic subgraph cut out of the file.

    Behind a backbone a head only ever sees what the backbone gives, and its bound has to allow for the backbone's
    error. Isolated it is run over every input distribution and held to its own bound. Each runtime gets one more row,
    ``head isolated``, for all of that; where a subgraph cannot stand alone the report says so.

    Args:
        graph: the source, captured.
        data: the artifact.
        format_name: its format.
        sizes: see :func:`nalu_export.parity.check_bytes`, as are the other arguments.
        compute: type of the arithmetic subgraphs.
        names: runtimes to run.
        options: how.
        decisive: the runtimes that decide; by default all of them.
        skip_missing: whether a runtime may be missing.
        progress: called with a text, the steps done and their number.
        opened: gives the content of the file where somebody has parsed it already, see :meth:`Format.opened`.
    """
    report = check_bytes(
        graph, data, sizes, compute, names, options, decisive=decisive, skip_missing=skip_missing, progress=progress
    )
    ran = [found.name for found in report.runtimes if found.decisive and runtimes.get(found.name).format == format_name]
    if not ran or options.only_inputs or graph.whole is not None:
        return report
    alone = replace(options, inputs={}, samples=None)
    kind = formats.get(format_name)
    content = kind.opened(data) if opened is None else opened()
    for name, subgraph in graph.subgraphs.items():
        try:
            isolated = graph.isolated(name)
        except InputError as error:
            report = replace(report, notes=(*report.notes, f"not checked in isolation: {error}"))
            continue
        pieces = [kind.part(content, subgraph, call) for call in range(subgraph.calls)]
        if pieces[0] is None:
            text = f"{plain(name)} was not checked in isolation: it cannot be told from the rest of the file"
            report = replace(report, notes=(*report.notes, text))
        for call, piece in enumerate(pieces):
            if piece is not None:
                report = _with_isolated(report, isolated, piece, subgraph.called(call), compute, ran, alone, progress)
    return report


def _with_isolated(
    report: Report,
    isolated: ModelGraph,
    piece: bytes,
    called: str,
    compute: Compute,
    ran: Sequence[str],
    options: CheckOptions,
    progress: Progress | None,
) -> Report:
    """The report with a row for each runtime of one isolated subgraph."""
    found = check_bytes(isolated, piece, [isolated.sizes], compute, ran, options, progress=progress)
    family = f"{called} isolated"
    rows = tuple(merge(name, family, [_named(row) for row in found.rows if row.runtime == name]) for name in ran)
    known = {at.runtime for at in report.breaks}
    breaks = [replace(at, value=f"{called}.{at.value}") for at in found.breaks if at.value and at.runtime not in known]
    return replace(
        report,
        rows=(*report.rows, *rows),
        breaks=(*report.breaks, *breaks),
        isolated=(*report.isolated, family),
    )


def _named(row: Row) -> Row:
    """The row with its family in the text of its problem, because it becomes part of another row."""
    return replace(row, problem=f"{inputs(row.family)}: {row.problem}") if row.problem else row
