"""Compares a file with its own metadata: names, types and shapes of its inputs and outputs."""

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
    """Return the report, with a failed row for each decisive runtime if the file differs from its metadata.

    A program that relies on the metadata would not find its inputs or outputs. A file without metadata, or of a format
    whose inputs and outputs are not known without running it, is not compared.

    Args:
        report: report of the check of the file.
        format_name: name of its format.
        content: parsed content of the file, see :meth:`nalu_export.formats.base.Format.opened`.
        metadata: metadata of the file.
    """
    signature = formats.get(format_name).signature(content)
    if signature is None or not metadata:
        return report
    problem = next(
        (
            text
            for kind, specs in zip(("input", "output"), signature, strict=True)
            if (text := _difference(kind, specs, metadata.get(f"{kind}s", [])))
        ),
        "",
    )
    if not problem:
        return report
    rows = tuple(
        Row(info.name, METADATA, 0, 0, math.inf, math.inf, 0, 0, 0, 0, 0, Status.FAILED, problem)
        for info in report.runtimes
        if info.decisive
    )
    return replace(report, rows=(*report.rows, *rows))


def _difference(kind: str, found: Sequence[TensorSpec], declared: Sequence[Mapping[str, Any]]) -> str:
    """Return the first difference between the inputs or outputs of a file and its metadata; empty if there is none."""
    if len(found) != len(declared):
        return f"the file has {len(found)} {kind}s, its metadata says {len(declared)}"
    for spec, row in zip(found, declared, strict=True):
        for name, actual, expected in (
            ("name", spec.name, row["name"]),
            ("type", spec.dtype, row["dtype"]),
            ("shape", list(spec.shape), row["shape"]),
        ):
            if actual != expected:
                return f"the {name} of its {kind} is {_shown(actual)}, its metadata says {_shown(expected)}"
    return ""


def _shown(value: Any) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, list) else short(value)
