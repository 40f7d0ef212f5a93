"""Holds a file against its own metadata: names, types and shapes of what it takes and gives."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nalu_export import formats
from nalu_export.formats.base import TensorSpec
from nalu_export.io.text import short
from nalu_export.parity import Report, Row
from nalu_export.parity.row import METADATA
from nalu_export.parity.verdict import Status


def with_metadata(report: Report, format_name: str, content: Any, metadata: Mapping[str, Any]) -> Report:
    """The report with a failed row for each runtime that decides, where a file is not what its metadata says.

    A program that was written by the metadata would not find its outputs.

    Args:
        report: of the file.
        format_name: its format.
        content: of the file, see :meth:`nalu_export.formats.base.Format.opened`.
        metadata: what the file says of itself.
    """
    found = formats.get(format_name).signature(content)
    if found is None or not metadata:
        return report
    wrong = next(
        (
            text
            for kind, specs in zip(("input", "output"), found, strict=True)
            if (text := _difference(kind, specs, metadata.get(f"{kind}s", [])))
        ),
        "",
    )
    if not wrong:
        return report
    rows = tuple(
        Row(info.name, METADATA, 0, 0, math.inf, math.inf, 0, 0, 0, 0, 0, Status.FAILED, wrong)
        for info in report.runtimes
        if info.decisive
    )
    return replace(report, rows=(*report.rows, *rows))


def _difference(kind: str, found: Sequence[TensorSpec], said: Sequence[Mapping[str, Any]]) -> str:
    """The first of them that is otherwise than the metadata says, empty where none is."""
    if len(found) != len(said):
        return f"the file has {len(found)} {kind}s, its metadata says {len(said)}"
    for spec, row in zip(found, said, strict=True):
        for name, is_, says in (
            ("name", spec.name, row["name"]),
            ("type", spec.dtype, row["dtype"]),
            ("shape", list(spec.shape), row["shape"]),
        ):
            if is_ != says:
                return f"the {name} of its {kind} is {_shown(is_)}, its metadata says {_shown(says)}"
    return ""


def _shown(value: Any) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, list) else short(value)
