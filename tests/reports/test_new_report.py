"""The promise of the design: a new kind of report is one file, and then every check can write it."""

from pathlib import Path

from click.testing import CliRunner

import nalu_export
from nalu_export import NAC, reports
from nalu_export.cli.main import main
from tests.plugins import one_more, read_anew

FILE = '''
"""The verdict and nothing else."""

from nalu_export.reports.base import Reporter


class _OneLineReporter(Reporter):
    name = "one-line"
    suffix = ".txt"

    def render(self, report):
        return f"{report.status}: {report.summary()}\\n".encode()


REPORTER = _OneLineReporter()
'''


def test_one_file_is_all_that_a_report_takes(nac: NAC, tmp_path: Path) -> None:
    nalu_export.save(nac, tmp_path / "model.pt")
    nalu_export.export(nac, tmp_path / "model.onnx", check=False)
    files = [str(tmp_path / "model.pt"), str(tmp_path / "model.onnx")]
    options = ["--samples", "8", "--search", "0", "--one-line", str(tmp_path / "report.txt")]
    with read_anew("nalu_export.cli.check") as module, one_more(reports, "one_line", FILE, tmp_path / "more"):
        command = module().check
        result = CliRunner().invoke(command, [*files, *options])
        shown = CliRunner().invoke(command, ["--help"]).stdout
    assert result.exit_code == 0
    assert (tmp_path / "report.txt").read_text(encoding="utf-8").startswith("passed: ")
    assert (tmp_path / "report.worst.npz").is_file()
    assert "--one-line PATH" in shown
    assert "Write the report as one-line." in shown


def test_without_the_file_there_is_no_flag() -> None:
    assert "--one-line" not in CliRunner().invoke(main, ["check", "--help"]).stdout
