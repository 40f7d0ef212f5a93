"""Folders of checkpoints, and ways to do them without processes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import nalu_export
from nalu_export import NALU, save
from nalu_export.sweeps import running
from nalu_export.sweeps import sweep as sweeping
from nalu_export.sweeps.executors.inline import Inline

Zoo = Callable[..., Path]


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    """Makes a folder with small heads, each with other weights."""

    def make(count: int, folder: str = "zoo") -> Path:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for number in range(count):
            torch.manual_seed(number)
            save(NALU(2, 1), place / f"m{number}.pt")
        return place

    return make


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything runs in this process; the names of the files that are exported, in order."""
    names: list[str] = []

    def export(source: Path, **options: object) -> object:
        names.append(source.name)
        return nalu_export.export(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "export", export)
    monkeypatch.setattr(sweeping, "Processes", lambda *_: Inline())
    return names


def names_in(folder: Path) -> list[str]:
    """Every file below a folder, by its path in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
