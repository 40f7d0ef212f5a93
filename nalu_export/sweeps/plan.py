"""Decides for each checkpoint whether an earlier result holds, and makes the tasks of the others."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nalu_export import formats
from nalu_export.errors import InputError
from nalu_export.io.files import read_bytes
from nalu_export.sweeps import digests
from nalu_export.sweeps.manifest import Manifest
from nalu_export.sweeps.records import Key, Outcome, Record
from nalu_export.sweeps.sources import Source
from nalu_export.sweeps.task import Task, blank
from nalu_export.sweeps.writing import ends_the_sweep, write_files

Keep = Callable[[Record, bool], None]


@dataclass(frozen=True)
class Wanted:
    """What a sweep is to make.

    Attributes:
        out: its folder.
        format: format of the artifacts.
        options: options of :func:`nalu_export.export` for all checkpoints.
        keep: whether to keep the artifacts.
        html: whether to make a report as a web page for each.
        ship: whether to send the bytes to the workers.
        retry_failed: whether to do again what did not pass.
        defaults: values of options that mean the same as an option that is not given.
    """

    out: Path
    format: str
    options: dict[str, Any]
    keep: bool = True
    html: bool = False
    ship: bool = False
    retry_failed: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


class Plan:
    """The checkpoints of a sweep on their way to a result.

    Args:
        sources: the checkpoints.
        wanted: what to make of each.
        manifest: earlier results.
        keep: takes each result, and whether it is new.
    """

    def __init__(self, sources: Sequence[Source], wanted: Wanted, manifest: Manifest, keep: Keep) -> None:
        self._sources, self._wanted, self._manifest, self._keep = sources, wanted, manifest, keep
        self._digests: dict[str, str] = {}
        # Sources whose content and options are those of a task that is in progress.
        self._twins: dict[Key, deque[Source]] = {}

    def tasks(self) -> Iterator[Task]:
        """Yield what is left to do; a result that holds is kept at once.

        Raises:
            InputError: a result cannot be written.
        """
        for source in self._sources:
            options = {**self._wanted.options, **source.options}
            key = Key("", "", digests.tool())
            try:
                key = replace(key, options=self._digest(source, options))
                key = replace(key, sha256=digests.sha256_of_files(source.files))
                task = self._task(source, key, options)
            except OSError as error:
                self._keep(_refused(source, key, f"{source.path}: cannot be read: {error.strerror}"), True)
                continue
            except InputError as error:
                self._keep(_refused(source, key, str(error)), True)
                continue
            if key in self._twins:
                self._twins[key].append(source)
            elif not self._reused(source, key):
                self._twins[key] = deque()
                yield task

    def answered(self, task: Task, record: Record, files: dict[str, bytes]) -> None:
        """Keep the result of a task, and that of sources with the same content and options.

        Raises:
            InputError: a file cannot be written.
        """
        try:
            write_files(self._wanted.out, files)
        except InputError as error:
            if ends_the_sweep(error):
                raise
            record = blank(task, Outcome.REFUSED, str(error))
        self._keep(record, True)
        for source in self._twins.pop(Key(task.sha256, task.digest, task.tool), ()):
            if not self._copied(source, record):
                self._keep(_refused(source, record.key, f"{record.artifact}: was changed meanwhile"), True)

    def _digest(self, source: Source, options: dict[str, Any]) -> str:
        # Those of the sweep are the same for all sources, so they need not be part of the key of this cache.
        text = json.dumps(dict(source.options), sort_keys=True)
        if text not in self._digests:
            self._digests[text] = digests.digest_of_options(
                {"format": self._wanted.format, **options}, self._wanted.defaults
            )
        return self._digests[text]

    def _task(self, source: Source, key: Key, options: dict[str, Any]) -> Task:
        wanted = self._wanted
        chosen = str(options.pop("format", wanted.format))
        files: tuple[tuple[str, bytes], ...] = ()
        path = os.path.abspath(source.path)
        if wanted.ship:
            files = tuple((file.name, read_bytes(file)) for file in source.files)
            path = source.path.name
        return Task(
            path=path,
            shown=str(source.path),
            name=source.name,
            sha256=key.sha256,
            options=options,
            digest=key.options,
            tool=key.tool,
            format=chosen,
            artifact=source.name + formats.options_of(chosen).suffixes[0],
            keep=wanted.keep,
            html=wanted.html,
            out=None if wanted.ship else os.path.abspath(wanted.out),
            files=files,
        )

    def _reused(self, source: Source, key: Key) -> bool:
        """Keep an earlier result for a source if there is one that holds; return whether there is."""
        known = self._manifest.known.get(key, {})
        own = known.get(source.name)
        if own is not None and self._holds(own):
            self._keep(replace(own, path=str(source.path)), False)
            return True
        return any(self._holds(record) and self._copied(source, record) for record in list(known.values()))

    def _holds(self, record: Record) -> bool:
        """Return whether a record is what this sweep would find, and what it made is still there."""
        if not record.passed:
            return not self._wanted.retry_failed
        if self._wanted.html and (record.html is None or not (self._wanted.out / record.html).is_file()):
            return False
        return not self._wanted.keep or self._artifact(record) is not None

    def _artifact(self, record: Record) -> bytes | None:
        """Return the artifact of a record; ``None`` if there is none, or it was changed since."""
        if record.artifact is None:
            return None
        try:
            data = (self._wanted.out / record.artifact).read_bytes()
        except OSError:
            return None
        return data if digests.sha256_of_bytes(data) == record.artifact_sha256 else None

    def _copied(self, source: Source, record: Record) -> bool:
        """Keep for a source the result of another with the same content and options."""
        artifact = None
        if record.passed and self._wanted.keep:
            data = self._artifact(record)
            if data is None:
                return False
            artifact = source.name + formats.options_of(record.format).suffixes[0]
            try:
                write_files(self._wanted.out, {artifact: data})
            except InputError as error:
                if ends_the_sweep(error):
                    raise
                self._keep(_refused(source, record.key, str(error)), True)
                return True
        copied = {"path": str(source.path), "name": source.name, "artifact": artifact, "seconds": 0.0}
        self._keep(replace(record, **copied, copied_from=record.copied_from or record.name), True)  # type: ignore[arg-type]
        return True


def _refused(source: Source, key: Key, error: str) -> Record:
    return Record(str(source.path), source.name, key.sha256, key.options, key.tool, Outcome.REFUSED, error)
