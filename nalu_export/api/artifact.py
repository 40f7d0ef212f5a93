"""An exported file with its metadata, and how both are read."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nalu_export import formats
from nalu_export.errors import InputError
from nalu_export.io import notebook
from nalu_export.io.assumption import FIELDS, Assumption
from nalu_export.io.files import read_bytes
from nalu_export.io.json_text import NestedError, parse
from nalu_export.io.text import in_memory
from nalu_export.parity.report import Report

# Metadata keys whose value is a text.
TEXTS = ("tool", "torch", "source_sha256", "source_layout", "weights", "compute")
# Metadata keys whose value is a list of objects, with the texts that each object must have.
TABLES = {
    "layers": ("path", "type"),
    "inputs": ("name", "dtype"),
    "outputs": ("name", "dtype"),
    "assumptions": FIELDS,
}
# Those of TABLES whose objects have a shape.
SHAPED = ("inputs", "outputs")
# Metadata keys whose value is an object.
OBJECTS = ("part", "parity")
KEYS = (*TEXTS, *TABLES, *OBJECTS)


@dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        path: path of the file; ``None`` if it was not written.
        format: name of its format.
        data: bytes of the file.
        metadata: metadata by key, such as ``weights``, ``compute``, ``layers``, ``inputs``; empty for a file of another
            tool. In the file each key has the prefix ``nalu_export.``, and a value that is not a text is JSON.
        report: the :class:`nalu_export.Report` of the export's check; ``None`` if there was no check.
        notes: what the user should know about the export, one line each: changes, fixed axes, what the file lacks.
        assumptions: facts that decide what the model computes and that its file does not contain. The metadata has them
            too.
    """

    path: Path | None
    format: str
    data: bytes
    metadata: dict[str, Any]
    # Any, so that `export(...).report.passed` needs no assertion if the caller knows that there was a check.
    report: Any = None
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()

    @property
    def name(self) -> str:
        """The name in errors and reports: the path, or a text such as ``onnx in memory``."""
        return shown_name(self.path, self.format)

    def __repr__(self) -> str:
        return notebook.line("Artifact", self._facts())

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        rows = [("file", ", ".join(self._facts()))]
        rows += [(kind, tensors_text(self.metadata.get(kind))) for kind in SHAPED if self.metadata.get(kind)]
        if isinstance(self.report, Report):
            rows.append(("check", self.report.summary()))
        rows += [("note", note) for note in self.notes]
        rows += [("assumed", str(assumption)) for assumption in self.assumptions]
        return notebook.table("Artifact", rows)

    def _facts(self) -> list[str]:
        """Return name, format, size, weights, compute and verdict as short texts; empty ones are not known."""
        weights, compute = (self.metadata.get(key) for key in ("weights", "compute"))
        return [
            self.name,
            "" if self.path is None else self.format,
            f"{len(self.data):,} bytes",
            f"{weights} weights" if isinstance(weights, str) else "",
            compute if isinstance(compute, str) else "",
            str(self.report.status) if isinstance(self.report, Report) else "",
        ]

    @cached_property
    def content(self) -> Any:
        """The parsed content, which is parsed once: see :meth:`nalu_export.formats.base.Format.opened`.

        Raises:
            InputError: the bytes are not a file of this format.
        """
        parsed = formats.get(self.format).opened(self.data)
        if parsed is None:
            raise InputError(f"{self.name}: is not a {self.format} file, or is damaged; export it again")
        return parsed


def shown_name(path: Path | None, format_name: str) -> str:
    """Return the name of an artifact in errors and reports."""
    return in_memory(format_name) if path is None else str(path)


def tensors_text(rows: Any) -> str:
    """Return a text such as ``x (batch, 3), ids int64 (batch)`` for the inputs or outputs of well-formed metadata."""
    kinds = (("" if row["dtype"] == "float32" else f"{row['dtype']} ", row) for row in rows)
    return ", ".join(f"{row['name']} {kind}({', '.join(map(str, row['shape']))})" for kind, row in kinds)


def encode_metadata(metadata: dict[str, Any]) -> dict[str, str]:
    """Return metadata as texts for a file, each key with the prefix ``nalu_export.``.

    A string stays as it is, every other value becomes JSON.
    """
    return {
        f"nalu_export.{key}": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in metadata.items()
    }


def decode_metadata(texts: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the metadata that :func:`encode_metadata` made into texts; unknown keys are left out.

    Raises:
        InputError: a value is not what an export writes under its key; the file may be untrusted.
    """
    metadata: dict[str, Any] = {}
    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):  # protobuf gives bytes where a text is not UTF-8
            raise InputError("its metadata is not text")
        name = key.removeprefix("nalu_export.")
        if name == key or name not in KEYS:
            continue
        if name in TEXTS:
            metadata[name] = text
            continue
        try:
            metadata[name] = parse(text)
        except NestedError as error:
            raise InputError(f"its metadata {key} {error}; export it again") from error
        except ValueError as error:
            raise InputError(f"its metadata {key} is not JSON") from error
        if not _is_well_formed(name, metadata[name]):
            raise InputError(f"its metadata {key} is not what an export writes")
    return metadata


def _is_well_formed(name: str, value: Any) -> bool:
    if name not in TABLES:
        return isinstance(value, dict) and (name != "part" or _is_part(value))
    return isinstance(value, list) and all(
        isinstance(row, dict)
        and all(isinstance(row.get(field), str) for field in TABLES[name])
        and (name not in SHAPED or _is_shape(row.get("shape")))
        for row in value
    )


def _is_part(value: dict[str, Any]) -> bool:
    """Return whether an object has a ``path`` and, optionally, the lists of names ``fed_by`` and ``followed_by``."""
    around = [value.get("fed_by", []), value.get("followed_by", [])]
    texts = [name for names in around if isinstance(names, list) for name in names]
    return all(isinstance(names, list) for names in around) and all(
        isinstance(text, str) for text in (value.get("path"), *texts)
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(size, str) or (type(size) is int and 0 <= size < 2**63) for size in value
    )


def read_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Read an exported file of any format. The content determines the format; none of the file is run.

    Raises:
        InputError: the file cannot be read, is of no known format, or is damaged.
    """
    where = Path(path)
    artifact = find_artifact(where)
    if artifact is None:
        *most, last = formats.names()
        raise InputError(f"{where}: is not an exported file; expected {', '.join(most)} or {last}")
    return artifact


def find_artifact(path: Path) -> Artifact | None:
    """Read a file like :func:`read_artifact`, but return ``None`` for a file of no known format.

    Raises:
        InputError: the file cannot be read, or is damaged.
    """
    data = read_bytes(path)
    for name in formats.names():
        candidate = formats.get(name)
        try:
            content = candidate.opened(data)
            if content is not None:
                found = Artifact(path, name, data, decode_metadata(candidate.read_metadata(content)))
                vars(found)["content"] = content  # the cached property, so that the file is not parsed again
                return found
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return None
