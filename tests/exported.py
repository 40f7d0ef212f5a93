"""A model exported beside its file."""

from pathlib import Path
from typing import Any

import nalu_export
from nalu_export.api.export import path_beside
from nalu_export.formats import DEFAULT, FormatName


def exported(source: Path, format: FormatName = DEFAULT, **options: Any) -> Path:  # noqa: A002
    """The path of the export, as the command line chooses it."""
    target = path_beside(source, format)
    nalu_export.export(source, target, format=format, **options)
    return target
