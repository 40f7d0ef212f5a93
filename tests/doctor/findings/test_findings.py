"""nalu_export.doctor.findings: what holds for every kind of finding."""

import re
from pathlib import Path

import pytest

from nalu_export import InputError
from nalu_export.doctor import findings
from nalu_export.doctor.findings.base import Finder

ROOT = Path(__file__).parents[3]
FINDERS = {name: findings.get(name) for name in findings.names()}


def test_each_public_file_is_a_kind_of_finding() -> None:
    folder = ROOT / "nalu_export" / "doctor" / "findings"
    assert findings.names() == tuple(sorted({path.stem for path in folder.glob("[a-z]*.py")} - {"base"}))
    assert all(isinstance(finder, Finder) for finder in FINDERS.values())


@pytest.mark.parametrize("name", FINDERS)
def test_each_kind_has_a_file_of_tests(name: str) -> None:
    assert (Path(__file__).parent / f"test_{name}.py").is_file()


def test_docs_have_a_row_for_each_code() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `([a-z][a-z-]*)` \| (?:error|warning|info)", text, re.MULTILINE)
    codes = [code for finder in FINDERS.values() for code in finder.codes]
    assert sorted(codes) == sorted(documented)


def test_a_code_and_a_rank_belong_to_one_kind() -> None:
    codes = [code for finder in FINDERS.values() for code in finder.codes]
    ranks = [finder.rank for finder in FINDERS.values()]
    assert len(codes) == len(set(codes))
    assert len(ranks) == len(set(ranks)), "the order of findings of one place would depend on the names of files"
    assert [finder.rank for finder in findings.finders()] == sorted(ranks)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match=rf"^finder is 'base'; allowed: {', '.join(findings.names())}$"):
        findings.get("base")
