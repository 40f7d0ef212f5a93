"""The source of an export."""

from pathlib import Path

import pytest

import nalu_export
from nalu_export import NALU


@pytest.fixture
def source(tmp_path: Path, nalu: NALU) -> Path:
    path = tmp_path / "model.pt"
    nalu_export.save(nalu, path)
    return path
