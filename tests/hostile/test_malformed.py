"""Malformed and hostile files: each is refused in one exact line, at once, and nothing is written or touched.

The tables are in the files beside this one, one for each kind of file.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from click.testing import CliRunner

from nalu_export import NAC, save
from nalu_export.cli.main import main
from tests.checkpoints.files import time_limit
from tests.hostile.artifacts import ARTIFACTS
from tests.hostile.descriptions import DESCRIPTIONS
from tests.hostile.holders import HOLDERS
from tests.hostile.inputs import INPUT_FILES
from tests.hostile.pickled_kinds import PICKLED_KINDS
from tests.hostile.pickles import PICKLES
from tests.hostile.tensors import TENSORS
from tests.hostile.watch import watched
from tests.hostile.zips import ZIPS

TABLES = (ZIPS, PICKLES, PICKLED_KINDS, TENSORS, HOLDERS, DESCRIPTIONS, ARTIFACTS, INPUT_FILES)
CASES = {name: case for table in TABLES for name, case in table.items()}
LONG_AGO = 10**18


@pytest.fixture(scope="module")
def good() -> dict[str, bytes]:
    """A model, and its export; making them once also imports all that the commands import late."""
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        model, onnx, script, other = (str(Path(folder) / name) for name in ("good.pt", "good.onnx", "x.ts", "x.pt"))
        save(NAC(2, 1), model)
        for words in (
            [model, "-f", "onnx"],
            [model, "-f", "torchscript", "-o", script],
            ["check", model, onnx],
            ["check", model, script],
            ["inspect", model],
            ["inspect", onnx],
            ["doctor", model],
            ["convert", model, "-o", other],
        ):
            assert CliRunner(catch_exceptions=False).invoke(main, words).exit_code == 0
        return {Path(path).name: Path(path).read_bytes() for path in (model, onnx)}


@pytest.fixture
def folder(good: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the two good files in it."""
    monkeypatch.chdir(tmp_path)
    for name, content in good.items():
        Path(name).write_bytes(content)
    return tmp_path


def look(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and the time of its last change."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.quick(100)
@pytest.mark.parametrize("name", CASES)
def test_refused_in_one_line(name: str, folder: Path) -> None:
    case = CASES[name]
    Path(case.file).write_bytes(case.make())
    os.utime(case.file, ns=(LONG_AGO, LONG_AGO))
    before = look(folder)
    for command in case.commands:
        with time_limit(5), watched() as events:
            result = CliRunner(catch_exceptions=False).invoke(main, list(command))
        assert (result.stderr, result.stdout, result.exit_code) == (case.line, "", 2), command
        assert events == []
        assert look(folder) == before


def test_the_table_is_as_long_as_docs_security_says() -> None:
    assert len(CASES) == sum(map(len, TABLES))
    page = Path(__file__).parents[2].joinpath("docs", "security.md").read_text(encoding="utf-8")
    assert f"A table of {len(CASES)} malformed files" in page


@pytest.mark.parametrize("name", CASES)
def test_the_line_is_one_that_any_terminal_shows(name: str) -> None:
    line = CASES[name].line
    assert line.removesuffix("\n").isprintable()
    assert len(line) < 700
