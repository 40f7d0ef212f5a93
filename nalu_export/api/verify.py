"""Compares a file with its model: the whole file, and each arithmetic subgraph of it in isolation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nalu_export import formats, runtimes
from nalu_export.errors import InputError
from nalu_export.io.text import plain
from nalu_export.parity import CheckRequest, Report, Row, check_bytes
from nalu_export.parity.report import merge, titled


def verify(request: CheckRequest, format_name: str, opened: Callable[[], Any] | None = None) -> Report:
    """Run :func:`nalu_export.parity.check_bytes` for the file, and again for each subgraph that is cut out of it.

    In the whole file an arithmetic subgraph sees only inputs that the model before it produces, and its bound includes
    the error of that part of the model. An isolated subgraph is run on every input distribution and must stay within
    its own bound. Each runtime gets one more row for each call of a subgraph, such as ``head isolated``. If a subgraph
    cannot be isolated, a note of the report says so.

    Subgraphs are not isolated if the file is a single arithmetic subgraph, if the request runs only the user's inputs,
    or if no decisive runtime runs this format.

    Args:
        request: the check of the whole file.
        format_name: name of its format.
        opened: returns the parsed content of the file, see :meth:`Format.opened`; by default the file is parsed here.

    Raises:
        InputError: the file or an option cannot be used.
        RuntimeUnavailableError: see :func:`nalu_export.parity.check_bytes`.
    """
    report, graph = check_bytes(request), request.graph
    ran = [found.name for found in report.runtimes if found.decisive and runtimes.get(found.name).format == format_name]
    if not ran or request.options.only_inputs or graph.whole is not None:
        return report
    options = replace(request.options, inputs={}, samples=None)
    for_part = replace(request, runtimes=ran, options=options, decisive=None, skip_missing=False)
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
            text = f"{plain(name)} was not checked in isolation: it cannot be separated from the rest of the file"
            report = replace(report, notes=(*report.notes, text))
        for call, piece in enumerate(pieces):
            if piece is not None:
                part = replace(for_part, graph=isolated, data=piece, sizes=[isolated.sizes])
                report = _with_isolated(report, part, subgraph.called(call))
    return report


def _with_isolated(report: Report, request: CheckRequest, called: str) -> Report:
    """Check one call of an isolated subgraph, and return the report with its rows and first divergences added."""
    found = check_bytes(request)
    distribution = f"{called} isolated"
    rows = tuple(
        merge(name, distribution, [_named(row) for row in found.rows if row.runtime == name])
        for name in request.runtimes
    )
    known = {divergence.runtime for divergence in report.divergences}
    divergences = [
        replace(divergence, value=f"{called}.{divergence.value}")
        for divergence in found.divergences
        if divergence.value and divergence.runtime not in known
    ]
    return replace(
        report,
        rows=(*report.rows, *rows),
        divergences=(*report.divergences, *divergences),
        isolated=(*report.isolated, distribution),
    )


def _named(row: Row) -> Row:
    """Return the row with its distribution named in its problem, because it is merged into a row of another name."""
    return replace(row, problem=f"{titled(row.distribution)}: {row.problem}") if row.problem else row
