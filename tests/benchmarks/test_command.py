"""benchmarks/run.py: which parts run, and when the page is written."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.report import Section


def _stub(part: str) -> Iterator[tuple[str, Callable[..., Section]]]:
    yield part, lambda *, quick: Section(f"{part} {quick}", "Stub.", ("x",), (("1",),))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "benchmarks_of", _stub)
    monkeypatch.setattr(run, "PAGE", tmp_path / "page.md")
    return run.PAGE


def test_full_run_writes_the_page(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.main([])
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [f"## {part} False" for part in run.PARTS]
    for fact in ("- CPU: ", " cores available", "- python: ", "- torch: ", "- onnxruntime", "- date: "):
        assert fact in text
    captured = capsys.readouterr()
    assert captured.err == ""
    assert f"written: {page}" in captured.out.replace("\n", "")


@pytest.mark.parametrize("arguments", [["--quick"], ["fidelity"], ["fidelity", "latency"]])
def test_other_runs_do_not(page: Path, arguments: list[str]) -> None:
    run.main(arguments)
    assert not page.exists()


def test_unless_told_where_to(page: Path, tmp_path: Path) -> None:
    run.main(["fidelity", "--quick", "--write", str(tmp_path / "other.md")])
    assert "## fidelity True" in (tmp_path / "other.md").read_text(encoding="utf-8")
    assert not page.exists()


def test_unknown_part(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(["speed"])
    assert "export-time, sweep, latency, cpp, fidelity" in capsys.readouterr().err


def test_starts_in_any_folder(tmp_path: Path) -> None:
    script = Path(run.__file__)
    done = subprocess.run(
        [sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "--quick" in done.stdout
    assert done.stderr == ""


def test_as_a_script_it_hides_no_module_of_others(tmp_path: Path) -> None:
    """torch looks for a package ``cuda`` when it is imported, and benchmarks/cuda.py is none."""
    script = Path(run.__file__)
    code = (
        "import runpy, sys\n"
        f"sys.argv, sys.path[0] = [{str(script)!r}, '--help'], {str(script.parent)!r}\n"
        "try:\n"
        f"    runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    import torch\n"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
