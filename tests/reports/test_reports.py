"""nalu_export.reports: what holds for every kind of report."""

import subprocess
import sys
from pathlib import Path

import pytest

from nalu_export import InputError, reports
from nalu_export.io.targets import write_atomically
from nalu_export.parity.report import Report

KINDS = ("html", "json", "junit")


def test_each_public_file_is_a_kind_of_report() -> None:
    assert set(KINDS) <= set(reports.names())
    assert [reports.get(name).name for name in KINDS] == list(KINDS)
    assert [reports.get(name).suffix for name in KINDS] == [".html", ".json", ".xml"]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match=rf"^reporter is 'pdf'; allowed: {', '.join(reports.names())}$"):
        reports.get("pdf")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_report_gives_the_same_bytes(kind: str, any_report: Report, tmp_path: Path) -> None:
    data = reports.get(kind).render(any_report)
    assert data == reports.get(kind).render(any_report)
    assert data.endswith(b"\n")
    assert not data.endswith(b"\n\n")
    data.decode("utf-8")
    write_atomically(tmp_path / "report", data)
    assert (tmp_path / "report").read_bytes() == data


def test_no_kind_imports_torch() -> None:
    code = (
        "import sys; from nalu_export import reports; [reports.get(name) for name in reports.names()]; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
