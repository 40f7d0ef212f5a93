"""Holds a file against its model: the whole, and each arithmetic subgraph of it in isolation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nalu_export import formats, runtimes
from nalu_export.errors import InputError
from nalu_export.io.text import plain
from nalu_export.parity import CheckRequest, Report, Row, check_bytes
from nalu_export.parity.report import inputs, merge


def verify(request: CheckRequest, format_name: str, opened: Callable[[], Any] | None = None) -> Report:
    """:func:`nalu_export.parity.check_bytes`, and once more for each arithmetic subgraph cut out of the file.

    Behind a backbone a head only ever sees what the backbone gives, and its bound has to allow for the backbone's
    error. Isolated it is run over every input distribution and held to its own bound. Each runtime gets one more row,
    ``head isolated``, for all of that; where a subgraph cannot stand alone the report says so.

    Args:
        request: the check of the whole file.
        format_name: its format.
        opened: gives the content of the file where somebody has parsed it already, see :meth:`Format.opened`.
    """
    report, graph = check_bytes(request), request.graph
    ran = [found.name for found in report.runtimes if found.decisive and runtimes.get(found.name).format == format_name]
    if not ran or request.options.only_inputs or graph.whole is not None:
        return report
    options = replace(request.options, inputs={}, samples=None)
    alone = replace(request, runtimes=ran, options=options, decisive=None, skip_missing=False)
    kind = formats.get(format_name)
    content = kind.opened(request.data) if opened is None else opened()
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
                part = replace(alone, graph=isolated, data=piece, sizes=[isolated.sizes])
                report = _with_isolated(report, part, subgraph.called(call))
    return report


def _with_isolated(report: Report, request: CheckRequest, called: str) -> Report:
    """The report with a row for each runtime of one isolated subgraph."""
    found = check_bytes(request)
    distribution = f"{called} isolated"
    rows = tuple(
        merge(name, distribution, [_named(row) for row in found.rows if row.runtime == name])
        for name in request.runtimes
    )
    known = {at.runtime for at in report.divergences}
    divergences = [
        replace(at, value=f"{called}.{at.value}") for at in found.divergences if at.value and at.runtime not in known
    ]
    return replace(
        report,
        rows=(*report.rows, *rows),
        divergences=(*report.divergences, *divergences),
        isolated=(*report.isolated, distribution),
    )


def _named(row: Row) -> Row:
    """The row with its distribution in the text of its problem, because it becomes part of another row."""
    return replace(row, problem=f"{inputs(row.distribution)}: {row.problem}") if row.problem else row
