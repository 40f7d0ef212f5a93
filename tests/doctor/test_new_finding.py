"""The promise of the design: a new finding is one file, and then the doctor finds it and every output shows it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from nalu_export import save
from nalu_export.cli.main import main
from nalu_export.doctor import diagnose, findings, summary
from tests.doctor.cases import HEALTHY, nac
from tests.plugins import one_more

FILE = '''
"""Findings about inputs that no output depends on."""

from nalu_export.doctor.findings.base import Finder, Finding


def _find(examined):
    for head, runs in examined.heads():
        for cell in head.cells:
            for weight in cell.layer.weights:
                unused = (weight.value(cell.form) == 0).all(dim=0).nonzero().flatten().tolist()
                if unused:
                    yield Finding(
                        "warning",
                        "input-unused",
                        cell.where,
                        f"Every weight of input {unused[0]} is 0.",
                        "No output depends on it.",
                        "Train longer, or leave this input out.",
                    )


FINDER = Finder(_find, ("input-unused",))
'''
FAULTY = nac([[1.0, 0.0], [-1.0, 0.0]])
NEARLY = nac([[1.0, 0.0], [0.0, -1.0]])


@pytest.fixture
def unused_inputs(tmp_path: Path) -> Iterator[None]:
    """The file, as if it were in the folder of findings."""
    with one_more(findings, "unused_inputs", FILE, tmp_path / "more"):
        yield


@pytest.mark.usefixtures("unused_inputs")
def test_one_file_is_all_that_a_finding_takes() -> None:
    (found,) = diagnose(FAULTY).findings
    assert (found.level, found.code, found.where) == ("warning", "input-unused", "layers.0")
    assert summary(diagnose(FAULTY)) == "doctor: 1 warning (input-unused)"
    assert diagnose(NEARLY).findings == diagnose(HEALTHY).findings == ()


@pytest.mark.usefixtures("unused_inputs")
def test_the_command_line_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(FAULTY, "model.pt")
    shown = CliRunner().invoke(main, ["doctor", "model.pt"])
    assert shown.exit_code == 0
    assert shown.stdout == (
        "warning[input-unused] at layers.0\n"
        "  Every weight of input 1 is 0.\n"
        "  effect:  No output depends on it.\n"
        "  remedy:  Train longer, or leave this input out.\n"
        "\n"
        "1 warning\n"
    )
    data = json.loads(CliRunner().invoke(main, ["doctor", "model.pt", "--json"]).stdout)
    assert [finding["code"] for finding in data["findings"]] == ["input-unused"]
    assert "doctor: 1 warning (input-unused)" in CliRunner().invoke(main, ["inspect", "model.pt"]).stdout


def test_without_the_file_nothing_finds_it() -> None:
    assert diagnose(FAULTY).findings == ()
