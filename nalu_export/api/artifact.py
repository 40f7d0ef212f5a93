"""An exported file with its metadata, and how both are read back."""

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
from nalu_export.parity.report import Report

TEXTS = ("tool", "torch", "source_sha256", "source_layout", "weights", "compute")
# Lists of objects, with the texts that each object must have.
TABLES = {
    "layers": ("path", "type"),
    "inputs": ("name", "dtype"),
    "outputs": ("name", "dtype"),
    "assumptions": FIELDS,
}
# Those whose rows have a shape.
SHAPED = ("inputs", "outputs")
# Objects; of a part the path is a text.
OBJECTS = ("part", "parity")
KEYS = (*TEXTS, *TABLES, *OBJECTS)


@dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        path: where it is; ``None`` where it was not written.
        format: name of its format.
        data: its bytes.
        metadata: one JSON text for each key, prefixed ``nalu_export.`` in the file; empty for a foreign file.
        report: the parity report of the export, ``None`` where there was no check.
        notes: what the export did differently from what was asked.
        assumptions: what decides what the model computes and is not in its file; the metadata has them too.
    """

    path: Path | None
    format: str
    data: bytes
    metadata: dict[str, Any]
    # Any, so that `export(...).report.passed` needs no assertion where the caller knows that there was a check.
    report: Any = None
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()

    @property
    def name(self) -> str:
        """What errors and reports call it: its path, or ``onnx in memory``."""
        return f"{self.format} in memory" if self.path is None else str(self.path)

    def __repr__(self) -> str:
        return notebook.line("Artifact", self._facts())

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        rows = [("file", ", ".join(self._facts()))]
        rows += [(kind, _tensors(self.metadata.get(kind))) for kind in SHAPED if self.metadata.get(kind)]
        if isinstance(self.report, Report):
            rows.append(("check", self.report.summary()))
        rows += [("note", note) for note in self.notes] + [("assumed", str(each)) for each in self.assumptions]
        return notebook.table("Artifact", rows)

    def _facts(self) -> list[str]:
        """What it is, in a few words each."""
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
        """What its format makes of its bytes, once: see :meth:`nalu_export.formats.base.Format.opened`.

        Raises:
            InputError: they are none of this format.
        """
        found = formats.get(self.format).opened(self.data)
        if found is None:
            raise InputError(f"{self.name}: is no {self.format} file, or a damaged one; export it again")
        return found


def _tensors(rows: Any) -> str:
    """``x (batch, 3), ids int64 (batch)``; the metadata of a file that was read is well-formed."""
    kinds = (("" if row["dtype"] == "float32" else f"{row['dtype']} ", row) for row in rows)
    return ", ".join(f"{row['name']} {kind}({', '.join(map(str, row['shape']))})" for kind, row in kinds)


def encode_metadata(metadata: dict[str, Any]) -> dict[str, str]:
    """Flat texts for a file: strings as they are, everything else as compact JSON."""
    return {
        f"nalu_export.{key}": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in metadata.items()
    }


def decode_metadata(texts: Mapping[Any, Any]) -> dict[str, Any]:
    """The inverse of :func:`encode_metadata`; keys of other tools are left out.

    Raises:
        InputError: a value is not what an export writes under its key; the file may come from anyone.
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
    """Its path and what is around it, by names."""
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
    """Read an exported file of any format; the format is told from the content, and none of it is run.

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
    """As :func:`read_artifact`, but ``None`` for a file of no known format."""
    data = read_bytes(path)
    for name in formats.names():
        candidate = formats.get(name)
        try:
            content = candidate.opened(data)
            if content is not None:
                found = Artifact(path, name, data, decode_metadata(candidate.read_metadata(content)))
                vars(found)["content"] = content
                return found
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return None
