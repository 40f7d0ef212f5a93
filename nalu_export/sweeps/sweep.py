"""Exports and checks many checkpoints: the function of the Python API, which is what the command does."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Unpack

from nalu_export import formats
from nalu_export.api.chosen import chosen_runtimes
from nalu_export.api.export import ExportOptions, ExportSettings
from nalu_export.checkpoints.factory import UserCode
from nalu_export.errors import InputError, RuntimeUnavailableError, at_command_line, option
from nalu_export.io.keywords import part_of, public
from nalu_export.sweeps import columns, digests, overview
from nalu_export.sweeps.executors.base import Executor
from nalu_export.sweeps.executors.dask import Dask
from nalu_export.sweeps.executors.processes import Processes
from nalu_export.sweeps.manifest import Manifest
from nalu_export.sweeps.plan import Plan, Wanted
from nalu_export.sweeps.records import Record
from nalu_export.sweeps.result import Sweep, Tally
from nalu_export.sweeps.sources import find
from nalu_export.sweeps.task import Limits, Stopped
from nalu_export.sweeps.writing import write_files

Progress = Callable[[Tally], None]
Sources = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@public(ExportSettings, more=lambda: (field for _, field in formats.option_fields()), one_at_a_time=False)
def sweep(
    sources: Sources,
    out: str | os.PathLike[str],
    /,
    *,
    jobs: int | None = None,
    dask: str | None = None,
    ship: bool = False,
    check_only: bool = False,
    retry_failed: bool = False,
    html_reports: bool = False,
    file_timeout: float | None = None,
    max_memory: int | None = None,
    dask_timeout: float = 60.0,
    progress: Progress | None = None,
    **options: Unpack[ExportOptions],
) -> Sweep:
    """Export and check many checkpoints, each in a worker process; one that fails does not stop the others.

    Every result is recorded in ``manifest.jsonl`` in ``out`` as soon as it is there. A later call with the same sources
    and options goes on where an earlier one was ended, and does nothing twice: the result of a file holds as long as
    its content, the options, the versions of the tools and the artifact are the same, also if the file was renamed.

    Args:
        sources: paths of files and folders, patterns such as ``"runs/**/*.pt"``, and lists such as ``"@list.txt"``,
            which have a path or a JSON object like ``{"path": "a.pt", "input_size": [8, 24]}`` on each line.
        out: folder for artifacts, reports, manifest and overview; it is made if it is missing.
        jobs: number of local worker processes; by default the number of CPUs.
        dask: address of a Dask scheduler, whose workers do the work instead.
        ship: send the bytes of the checkpoints to the workers and the results back, for a cluster without a shared
            folder.
        check_only: check the exports, and keep only manifest, reports and overview.
        retry_failed: do again what did not pass in an earlier call.
        html_reports: write the report of each checkpoint as a web page too, beside the one as JSON.
        file_timeout: seconds for one checkpoint; one that takes longer has crashed.
        max_memory: bytes that the workers of a machine may take together, beyond what Python and torch do; by default
            half of what is free.
        dask_timeout: seconds to wait for a Dask scheduler that is lost, or for workers.
        progress: called with a :class:`nalu_export.sweeps.result.Tally` after each checkpoint.
        **options: those of :func:`nalu_export.export` except ``check``, for every checkpoint.

    Returns:
        The records of all checkpoints. One that failed does not raise.

    Raises:
        InputError: a source, an option or the folder cannot be used; or the disk is full, and the same call goes on.
        RuntimeUnavailableError: a runtime of the check, or the Dask cluster, is not available.
    """
    start = time.monotonic()
    given: dict[str, Any] = dict(options)
    wanted = Wanted(
        out=Path(out),
        format=formats.chosen(None, given.pop("format", None)),
        options=_checked(given),
        keep=not check_only,
        html=html_reports,
        ship=ship,
        retry_failed=retry_failed,
        defaults={each.name: each.default for each in _fields()},
    )
    _refuse(wanted, jobs=jobs, dask=dask)
    several = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    found = find(several, known=option_names(), trust=bool(given.get("trust")), besides=wanted.out)
    cuda = any("cuda" in name or name == "all" for name in _runtimes(given))
    limits = Limits(max_memory, file_timeout, enforced=not cuda)
    counting = _Counting(len(found), progress or (lambda _: None))
    _make(wanted.out)
    with Manifest(wanted.out) as manifest:

        def keep(record: Record, new: bool) -> None:
            if new:
                manifest.append(record)
            counting.add(record, reused=not new)

        plan = Plan(found, wanted, manifest, keep)
        with counting.named():
            with _executor(jobs, dask, limits, dask_timeout, counting.say) as executor:
                _run(plan, executor)
            records = tuple(counting.records[source.name] for source in found)
            return _finished(wanted.out, records, counting.reused, start)


def _run(plan: Plan, executor: Executor) -> None:
    """Have everything done.

    Raises:
        InputError: nothing more can be written.
        RuntimeUnavailableError: a runtime is not available.
    """
    with contextlib.closing(executor.answers(plan.tasks())) as answers:  # type: ignore[type-var]
        for task, answer in answers:
            if isinstance(answer, Stopped):
                raise (RuntimeUnavailableError if answer.runtime_missing else InputError)(answer.text)
            plan.answered(task, answer.record, answer.files)


def _finished(out: Path, records: tuple[Record, ...], reused: int, start: float) -> Sweep:
    """Write the manifest as Parquet and the overview."""
    table = columns.parquet(records)
    files = {} if table is None else {columns.NAME: table}
    found = Sweep(
        out=out,
        records=records,
        reused=reused,
        seconds=time.monotonic() - start,
        manifest=out / "manifest.jsonl",
        parquet=None if table is None else out / columns.NAME,
        overview=out / overview.NAME,
        notes=() if table is not None else (columns.MISSING,),
    )
    write_files(out, {**files, overview.NAME: overview.render(found)})
    return found


class _Counting:
    """Counts results, and tells of them."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.total, self.reused, self.not_passed = total, 0, 0
        self.records: dict[str, Record] = {}
        self._progress = progress

    def add(self, record: Record, *, reused: bool) -> None:
        """Count one."""
        self.records[record.name] = record
        self.reused += reused
        self.not_passed += not record.passed
        self._progress(self._tally())

    def say(self, note: str) -> None:
        """Pass a line on to the user."""
        self._progress(self._tally(note))

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Add to an error how far the sweep was, and that nothing is lost."""
        try:
            yield
        except (InputError, RuntimeUnavailableError) as error:
            again = at_command_line("command") or "call"
            how_far = f"{len(self.records)} of {self.total} files are done; the same {again} goes on from there"
            raise type(error)(f"{error}; {how_far}") from error

    def _tally(self, note: str = "") -> Tally:
        return Tally(len(self.records), self.total, self.reused, self.not_passed, note)


@contextlib.contextmanager
def _executor(
    jobs: int | None, dask: str | None, limits: Limits, patience: float, say: Callable[[str], None]
) -> Iterator[Executor]:
    executor: Executor = Processes(jobs, limits) if dask is None else Dask(dask, limits, patience, say)
    try:
        yield executor
    finally:
        executor.close()


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options for the workers, after a look at what would be wrong with every checkpoint."""
    options = {name: value for name, value in options.items() if value is not None}
    if options.pop("check", True) is not True:
        raise InputError("a sweep always checks; leave check out")
    part_of(ExportSettings, options)  # refuses values that are not allowed
    digests.digest_of_options(options)  # refuses objects that cannot be sent
    for name in ("model", "backbone"):
        if isinstance(options.get(name), (str, os.PathLike)):
            code = UserCode(options[name], name)
            if code.file is not None:
                place = os.path.abspath(code.file)
                options[name] = f"{place}:{code.name}" if code.name else place
    return options


def _refuse(wanted: Wanted, *, jobs: int | None, dask: str | None) -> None:
    """Refuse options that do not go together, or that are wrong for every checkpoint."""
    options = wanted.options
    if jobs is not None and jobs < 1:
        raise InputError(f"{option('jobs')} is {jobs}; at least 1 worker is needed")
    if jobs is not None and dask is not None:
        raise InputError(f"{option('jobs')} and {option('dask')} are both given; the cluster has its own workers")
    if wanted.ship and any(digests.code_file(options.get(name)) for name in ("model", "backbone")):
        raise InputError(
            f"{option('ship')} sends no code; name code as package.module:NAME, and install it on the workers"
        )
    common = {field.name for field in fields(ExportSettings)}
    formats.own_options(wanted.format, {name: value for name, value in options.items() if name not in common})
    chosen_runtimes(options.get("runtimes"), wanted.format, "an artifact of this sweep")


def option_names() -> set[str]:
    """Return the names of the options that a line of a list may have."""
    return {field.name for field in _fields()} - {"check"}


def _fields() -> list["Field[Any]"]:
    """Return every option of an export."""
    return [*fields(ExportSettings), *(field for _, field in formats.option_fields())]


def _runtimes(options: Mapping[str, Any]) -> list[str]:
    given = options.get("runtimes") or ()
    return [given] if isinstance(given, str) else list(given)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
