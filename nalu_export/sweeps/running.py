"""Exports and checks one checkpoint, in a worker."""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nalu_export import reports
from nalu_export.api.artifact import Artifact
from nalu_export.api.export import export
from nalu_export.errors import InputError, NaluExportError, ParityError, RuntimeUnavailableError, first_line, no_memory
from nalu_export.io.assumption import Assumption
from nalu_export.io.text import printable
from nalu_export.parity import Report
from nalu_export.sweeps import digests
from nalu_export.sweeps.records import Outcome, Record
from nalu_export.sweeps.task import Answer, Done, Stopped, Task, blank
from nalu_export.sweeps.writing import ends_the_sweep, write_files

REPORTS = "reports"


def run(task: Task) -> Answer:
    """Export and check one checkpoint; whatever it raises becomes a record.

    Returns:
        The record with the files that the sweep has to write, or why the sweep cannot go on.
    """
    if task.tool != digests.tool():
        return Stopped(f"a worker has {digests.tool()}, and this sweep {task.tool}; install the same on both")
    start = time.perf_counter()
    try:
        with _source(task) as path:
            record, files = _exported(task, path)
    except RuntimeUnavailableError as error:
        return Stopped(str(error), runtime_missing=True)
    except OSError as error:
        return Stopped(f"a temporary folder cannot be written: {error.strerror or error}")
    record = replace(record, seconds=round(time.perf_counter() - start, 4))
    if task.out is None:
        return Done(record, files)
    try:
        write_files(Path(task.out), files)
    except InputError as error:
        return Stopped(str(error)) if ends_the_sweep(error) else Done(blank(task, Outcome.REFUSED, str(error)))
    return Done(record)


@contextlib.contextmanager
def _source(task: Task) -> Iterator[Path]:
    """Give the path of the checkpoint; its bytes, if they were sent, are in a private folder meanwhile."""
    if not task.files:
        yield Path(task.path)
        return
    with TemporaryDirectory(prefix="nalu_export.") as folder:
        for name, content in task.files:
            Path(folder, name).write_bytes(content)
        yield Path(folder, task.path)


def _exported(task: Task, path: Path) -> tuple[Record, dict[str, bytes]]:
    secret = str(path)
    try:
        artifact = export(path, format=task.format, **task.options)  # type: ignore[arg-type]
    except RuntimeUnavailableError:
        raise
    except ParityError as error:
        found: Any = error.report
        record = blank(task, Outcome.FAILED, str(error) if found is None else found.summary(), secret=secret)
        return (record, {}) if found is None else _with_report(task, record, found)
    except NaluExportError as error:
        return blank(task, Outcome.REFUSED, str(error), secret=secret), {}
    except SystemExit as error:
        text = f"the model's code ends the program: SystemExit: {first_line(error)}"
        return blank(task, Outcome.REFUSED, text, secret=secret), {}
    except Exception as error:  # noqa: BLE001  a fault of one file is not one of the sweep
        memory = no_memory(error)
        if memory is not None:
            return blank(task, Outcome.REFUSED, str(memory)), {}
        text = f"internal error: {type(error).__name__}: {first_line(error)}; please report it"
        return blank(task, Outcome.CRASHED, text, secret=secret), {}
    record, files = _with_report(task, blank(task, Outcome.PASSED), artifact.report)
    record = replace(record, **_facts(artifact), assumptions=_texts(artifact.assumptions))
    if task.keep:
        record = replace(record, artifact=task.artifact)
        files[task.artifact] = artifact.data
    return record, files


def _with_report(task: Task, record: Record, report: Report) -> tuple[Record, dict[str, bytes]]:
    """Return the record with the figures of a check, and the reports by their paths."""
    artifact = task.artifact if task.out is None else str(Path(task.out, task.artifact))
    subject = report.subject | {"model": task.shown, "artifact": artifact}
    report = replace(report, subject=subject)
    kinds = ["json", *(["html"] if task.html else []), *(["worst"] if not report.passed and report.worst else [])]
    paths = {kind: f"{REPORTS}/{task.name}{reports.get(kind).suffix}" for kind in kinds}
    files = {path: reports.get(kind).render(report) for kind, path in paths.items()}
    rows = [row for row in report.decisive if row.failed or row.passed] or list(report.decisive)
    if rows:
        # As in Report.summary: intermediate values of a file that passed have no E, and say less.
        row = max(rows, key=lambda row: row.gravity if not report.passed else (row.max_e > 0, row.max_ratio))
        found = {"runtime": row.runtime, "distribution": row.distribution}
        record = replace(record, **found, error_over_bound=float(row.max_ratio), max_e=float(row.max_e))  # type: ignore[arg-type]
    places = {"report": paths["json"], "html": paths.get("html"), "worst": paths.get("worst")}
    record = replace(record, **places, artifact_sha256=subject.get("artifact_sha256"))  # type: ignore[arg-type]
    return replace(record, layers=_types(subject), assumptions=_texts(report.assumptions)), files


def _facts(artifact: Artifact) -> dict[str, Any]:
    """Return what a record says about the artifact of a check that passed."""
    data = artifact.metadata
    return {
        "artifact_sha256": hashlib.sha256(artifact.data).hexdigest(),
        "bytes": len(artifact.data),
        "layers": _types(data),
        "inputs": _ports(data["inputs"]),
        "outputs": _ports(data["outputs"]),
    }


def _types(data: Any) -> tuple[str, ...]:
    return tuple(printable(str(row["type"])) for row in data.get("layers", ()))


def _ports(rows: Sequence[Any]) -> tuple[str, ...]:
    return tuple(printable(f"{row['name']} ({', '.join(map(str, row['shape']))})") for row in rows)


def _texts(assumptions: Sequence[Assumption]) -> tuple[str, ...]:
    return tuple(printable(str(each)) for each in assumptions)
