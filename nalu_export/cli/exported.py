"""Prints the result of an export: a few lines, the tables, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nalu_export.cli.assumed import say_assumed
from nalu_export.cli.results import Results, written
from nalu_export.io.text import to_json

if TYPE_CHECKING:
    from nalu_export.api.artifact import Artifact
    from nalu_export.parity import Report


def tell(results: Results, model: Path, artifact: Artifact | None, report: Report | None, *, verbose: bool) -> None:
    """Write the JSON and the reports of an export, and print the result.

    Args:
        results: their targets.
        model: the file that was read.
        artifact: the exported file; ``None`` if the check failed.
        report: the report of the check; ``None`` if there was no check.
        verbose: whether to print the tables.
    """
    paths = results.write(lambda: to_json(_facts(artifact, report)), report)
    assumptions = artifact.assumptions if artifact is not None else report.assumptions if report is not None else ()
    if not results.shows:
        say_assumed(assumptions)
        return
    from nalu_export.cli.written import artifact_line
    from nalu_export.reports.terminal.lines import console, say, say_all
    from nalu_export.reports.terminal.report import show_report
    from nalu_export.reports.terminal.summary import Exported, show_summary

    out = console(stderr=results.aside)
    notes = () if artifact is None else artifact.notes
    line = "" if artifact is None else artifact_line(artifact)
    if not verbose:
        layers = _layers(artifact, report)
        names = [str(path) for path in paths]
        show_summary(out, Exported(str(model), layers, report, notes, assumptions, line, names))
        return
    if report is not None:
        show_report(out, report)
    # If there is a report, it has printed the assumptions.
    say_all(out, notes, assumptions if report is None else ())
    if report is None:
        say(out, "not checked")
    written(out, paths)
    if line:
        say(out, line)


def _layers(artifact: Artifact | None, report: Report | None) -> Sequence[Mapping[str, Any]]:
    found = artifact.metadata if artifact is not None else report.subject if report is not None else {}
    layers: Sequence[Mapping[str, Any]] = found.get("layers", ())
    return layers


def _facts(artifact: Artifact | None, report: Report | None) -> dict[str, Any]:
    """Return the result as ``--json`` prints it."""
    parity = {"parity": None if report is None else report.to_dict()}
    if artifact is None:
        return parity
    return {
        "path": str(artifact.path),
        "format": artifact.format,
        "bytes": len(artifact.data),
        "notes": list(artifact.notes),
        "metadata": artifact.metadata,
    } | parity
