"""What became of one checkpoint of a sweep: a line of its manifest."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

SCHEMA = "nalu_export.sweep/1"
# Numbers that JSON does not have are texts in it, as in a report.
_NUMBERS = ("error_over_bound", "max_e")


class Outcome(StrEnum):
    """What became of a checkpoint.

    Attributes:
        PASSED: it was exported, and its check passed.
        FAILED: its check failed, or compared no output.
        REFUSED: it cannot be read, or cannot be exported.
        CRASHED: its export ended the process that ran it, took too long, or met a fault of this program.
    """

    PASSED = "passed"
    FAILED = "failed"
    REFUSED = "refused"
    CRASHED = "crashed"


# What needs attention first stands first in lists for people.
ORDER = (Outcome.FAILED, Outcome.CRASHED, Outcome.REFUSED, Outcome.PASSED)


@dataclass(frozen=True)
class Key:
    """What decides the result of a checkpoint: two files with one key have one result.

    Attributes:
        sha256: SHA-256 of its content.
        options: digest of the options, see :func:`nalu_export.sweeps.digests.digest_of_options`.
        tool: names and versions of what computes it.
    """

    sha256: str
    options: str
    tool: str


@dataclass(frozen=True)
class Record:
    """A line of a manifest.

    Attributes:
        path: path of the checkpoint, as the sweep found it.
        name: path of its results in the folder of the sweep, without a suffix.
        sha256: see :class:`Key`.
        options: see :class:`Key`.
        tool: see :class:`Key`.
        status: what became of it.
        error: why it did not pass, in one line; else empty.
        format: format of the artifact.
        artifact: path of the artifact in the folder of the sweep; ``None`` if there is none.
        artifact_sha256: SHA-256 of the artifact; also that of an artifact which was checked and not kept.
        bytes: size of the artifact.
        runtime: of the row that a reader should see first: the one with the largest error/bound if all passed.
        distribution: the same: its input distribution.
        error_over_bound: the same: the largest error over its error bound.
        max_e: the same: the largest E.
        seconds: how long the export and its check took.
        layers: types of the layers.
        inputs: names and shapes of the inputs, such as ``x (batch, 3)``.
        outputs: the same for the outputs.
        assumptions: what the file does not say and had to be assumed, one text each.
        report: path of the report as JSON in the folder of the sweep.
        html: the same for the report as a web page.
        worst: the same for the worst inputs of a failed check.
        copied_from: name of the record whose result this one has, because content and options are the same.
    """

    path: str
    name: str
    sha256: str
    options: str
    tool: str
    status: Outcome
    error: str = ""
    format: str = ""
    artifact: str | None = None
    artifact_sha256: str | None = None
    bytes: int | None = None
    runtime: str | None = None
    distribution: str | None = None
    error_over_bound: float | None = None
    max_e: float | None = None
    seconds: float = 0.0
    layers: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    report: str | None = None
    html: str | None = None
    worst: str | None = None
    copied_from: str | None = None

    @property
    def key(self) -> Key:
        """What decides the result."""
        return Key(self.sha256, self.options, self.tool)

    @property
    def passed(self) -> bool:
        """Whether the check passed."""
        return self.status is Outcome.PASSED

    @property
    def gravity(self) -> tuple[int, float, str]:
        """The sort key of lists for people; the smallest comes first: failures, then by error/bound, then by name."""
        ratio = self.error_over_bound
        worst = -math.inf if ratio is None else math.inf if math.isnan(ratio) else ratio
        return ORDER.index(self.status), -worst, self.name

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found = {"schema": SCHEMA, **asdict(self)}
        for name in _NUMBERS:
            value = found[name]
            found[name] = value if value is None or math.isfinite(value) else str(value)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Record":
        """Return the record of :meth:`to_dict`.

        Raises:
            ValueError: the data is not that of a record of this schema.
        """
        if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
            raise ValueError(f"not a record of {SCHEMA}")
        known = {field.name for field in fields(cls)}
        found: dict[str, Any] = {
            name: tuple(map(str, value)) if isinstance(value, list) else value
            for name, value in data.items()
            if name in known
        }
        if not all(
            isinstance(found.get(name), str) for name in ("path", "name", "sha256", "options", "tool", "status")
        ):
            raise ValueError(f"not a record of {SCHEMA}")
        try:
            found["status"] = Outcome(found["status"])
            for name in _NUMBERS:
                found[name] = None if found.get(name) is None else float(found[name])
            return cls(**found)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a record of {SCHEMA}: {error}") from error
