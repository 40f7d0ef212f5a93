"""benchmarks/cuda.py: without a device it refuses; what it measures and writes, with CPU runtimes in CUDA's place."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import cuda, cuda_fallback, cuda_latency, cuda_parity, cuda_tf32
from benchmarks.cuda_setup import Setup
from benchmarks.report import Section, Target
from tests.benchmarks.cuda_cases import TINY
from tests.benchmarks.without_device import assert_needs_a_device


@pytest.mark.quick(1)
@pytest.mark.parametrize("option", ["--quick", "--device-check-only"])
def test_without_a_device_it_exits_with_3_and_writes_nothing(option: str, tmp_path: Path) -> None:
    assert_needs_a_device(tmp_path, cuda.__file__, option, "--write", tmp_path / "page.md")


@pytest.mark.slow
def test_a_quick_run_on_cpu_runtimes(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything runs; what needs a device, TF32 and the refusals, does not reach its target."""
    for module in (cuda_parity, cuda_tf32, cuda_latency):
        monkeypatch.setattr(module, "all_subjects", lambda *, quick: [TINY])
    monkeypatch.setattr(cuda_latency, "compiled", lambda module, mode: module)
    page = tmp_path / "page.md"
    assert cuda.main(["--quick", "--write", str(page)], setup) == 1
    text = page.read_text(encoding="utf-8")
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[:2] == ["## Runtimes", "## Files: largest error over its bound"]
    assert [title.partition(":")[0] for title in titles[-3:]] == ["## TF32", "## Fallback to the CPU", "## Latency"]
    assert "- reached: every file passes on every CUDA runtime (9 of 9)" in text
    assert "- NOT reached: TF32 is caught by default, in every runtime (0 of 0)" in text
    assert "- NOT reached: every session that would fall back to the CPU is refused" in text
    assert "**A quick run" in text
    for fact in ("- device: ", "- driver: ", "- CUDA of torch: ", "- CUDA of onnxruntime: ", "- torch: "):
        assert fact in text
    captured = capsys.readouterr()
    assert "s] parity: tiny, live, float64: torchscript" in captured.err
    assert "s] latency: tiny, live, batch 64, inputs on the host" in captured.err
    assert f"written: {page}" in captured.out


@pytest.mark.parametrize(("reached", "code"), [(True, 0), (False, 1)])
def test_a_full_run_writes_the_page(
    reached: bool, code: int, setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = Section("Table", "Faked.", ("a",), (("1",),), (Target("it holds", reached),))
    monkeypatch.setattr(cuda, "measure", lambda setup, *, quick: [section])
    monkeypatch.setattr(cuda, "PAGE", tmp_path / "cuda-parity.md")
    assert cuda.main(["--quick"], setup) == code
    assert not cuda.PAGE.exists()
    assert cuda.main(["--device-check-only"], setup) == 0
    assert not cuda.PAGE.exists()
    assert cuda.main([], setup) == code
    text = cuda.PAGE.read_text(encoding="utf-8")
    assert text.startswith("# Parity and latency on CUDA\n")
    assert text.count(f"- {section.targets[0]}") == 2  # at the head and at its table
    assert "quick run" not in text


def test_a_part_that_breaks_down_leaves_the_others(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("no\ngood")

    for module in (cuda_parity, cuda_tf32, cuda_fallback):
        monkeypatch.setattr(module, "measure", broken)
    monkeypatch.setattr(cuda_latency, "measure", lambda setup, *, quick: [])
    sections = cuda.measure(setup, quick=True)
    assert [section.rows for section in sections[:3]] == [(("ZeroDivisionError: no",),)] * 3
    assert not any(target.reached for target in cuda.targets(sections))
    assert sections[3].title.startswith("Latency")
