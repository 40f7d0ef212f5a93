"""One checkpoint to export and check: what is sent to a worker, and what comes back."""

from dataclasses import dataclass, field
from typing import Any

from nalu_export.io.text import printable
from nalu_export.sweeps.records import Outcome, Record

# Characters of an error that a record keeps.
MAX_ERROR = 500


@dataclass(frozen=True)
class Limits:
    """What the workers of a machine may take.

    Attributes:
        memory: bytes of all of them, beyond what Python and torch take; ``None`` for half of what is free.
        seconds: seconds for one file; ``None`` for no limit.
        enforced: whether a worker that asks for more memory gets an error; ``False`` for runtimes on CUDA, whose driver
            reserves more than any memory there is.
    """

    memory: int | None = None
    seconds: float | None = None
    enforced: bool = True


@dataclass(frozen=True)
class Task:
    """One checkpoint.

    Attributes:
        path: path of the file, as the worker opens it; the name of the file if its bytes are sent.
        shown: path in records, reports and texts.
        name: path of the results in the folder of the sweep, without a suffix.
        sha256: SHA-256 of the content.
        options: keyword arguments of :func:`nalu_export.export`.
        digest: digest of the options.
        tool: names and versions of what the sweep expects to compute it.
        format: format of the artifact.
        artifact: name of the artifact, which the record has.
        keep: whether to keep the artifact; ``False`` for a sweep that only checks.
        html: whether to make a report as a web page.
        out: folder of the sweep, where the worker writes; ``None`` if it sends back what it made.
        files: name and content of the file, or of the several files of the model, if they are sent.
    """

    path: str
    shown: str
    name: str
    sha256: str
    options: dict[str, Any]
    digest: str
    tool: str
    format: str
    artifact: str
    keep: bool = True
    html: bool = False
    out: str | None = None
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Done:
    """A checkpoint has a result.

    Attributes:
        record: the result.
        files: what the sweep has to write, by path in its folder; empty if the worker wrote it.
    """

    record: Record
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Stopped:
    """No checkpoint can have a result: the disk is full, a runtime is not installed, or a worker does not fit.

    Attributes:
        text: why, in one line.
        runtime_missing: whether a runtime or a package is missing.
    """

    text: str
    runtime_missing: bool = False


Answer = Done | Stopped


def blank(task: Task, status: Outcome, error: str = "", *, secret: str = "") -> Record:
    """Return the record of a checkpoint of which nothing more is known.

    Args:
        task: the checkpoint.
        status: what became of it.
        error: why, in one line.
        secret: a path in the text that only the worker knows, in place of the one that the user knows.
    """
    text = printable(error.replace(secret, task.shown) if secret else error)
    text = text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"
    return Record(task.shown, task.name, task.sha256, task.digest, task.tool, status, text, task.format)
