"""benchmarks/cuda_probe.py: all of it with CPU runtimes in CUDA's place, and what becomes of a part that fails."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import cuda_probe
from benchmarks.cuda_setup import OUT_OF_TIME, Setup
from benchmarks.probe import convolutions, held, placement, suite, worker
from benchmarks.probe.context import Context
from benchmarks.probe.results import Results
from benchmarks.probe.supervisor import Supervisor
from benchmarks.probe.worker import UNTIL
from benchmarks.report import Section
from nalu_export import NALU, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.runtimes._ort_placement import Placed
from nalu_export.runtimes.base import RunOptions
from tests import cuda_stand_ins
from tests.benchmarks.without_device import assert_needs_a_device
from tests.captured import graph_of

ROOT = Path(cuda_probe.__file__).resolve().parents[1]


@pytest.fixture
def setup() -> Setup:
    return Setup("cpu", "CPUExecutionProvider", ("onnxruntime-cpu",), "torch", "torchscript")


# All of it.


@pytest.mark.slow
def test_a_quick_run_on_cpu_runtimes(setup: Setup, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "probe.md"
    assert cuda_probe.main(["--quick", "--write", str(page)], setup) == 0
    text = page.read_text(encoding="utf-8")
    for part in UNTIL:
        assert f"- {part}: ran in " in text
    for title, row in (
        (
            "Files that load: backbones with a free image size",
            "| CNN, flatten(1) | folded | float32 | runs; CPU: none |",
        ),
        ("Files that load: layers", "| NALU [4, 5, 2] | live | float32 | runs; CPU: none | yes; fold=False: no |"),
        ("Elementary functions, float32", "| Exp | float32 | onnxruntime | 5,253 |"),
        ("3×3 convolutions, 3 sessions each", "| 2 → 3, 6², batch 2 | onnxruntime-cpu, EXHAUSTIVE | "),
        ("TF32 by shape", "| 4 × 8 → 8 | TF32 not used; off "),
        ("TorchScript, 5 runs of each shape", "| NALU [4, 5, 2] | live | 3 | "),
        ("CUDA graphs and I/O binding", "| CNN, flatten(1) | folded | "),
        ("Latency: one run on the device", "| NALU [64, 64, 10] | live | 1 | device | "),
        ("pytest -m cuda", "| "),
        ("pytest -m cuda: the slowest 20", "| tests/runtimes/test_cuda.py::test_it_says_which_device["),
    ):
        assert f"\n## {title}" in text
        assert f"\n{row}" in text.partition(f"\n## {title}")[2].partition("\n## ")[0], title
    assert "a quick run compiles nothing" in text
    assert "did not" not in text
    for fact in ("- device: ", "- driver: ", "- CUDA of torch: ", "- torch: "):
        assert fact in text
    captured = capfd.readouterr()
    assert "s] ulp: Exp, float64" in captured.err
    assert f"written: {page}" in captured.out


@pytest.mark.slow
def test_without_a_device_it_exits_with_3_and_writes_nothing(tmp_path: Path) -> None:
    assert_needs_a_device(tmp_path, cuda_probe.__file__)


def test_make_takes_the_python_that_is_there() -> None:
    """No virtual environment and no pip: the machine with the GPU has its own."""
    command = ["make", "--dry-run", "--no-print-directory", "cuda-probe", "PYTHON=some-python"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "some-python benchmarks/cuda_probe.py\n"


def _records(path: Path) -> Results:
    results = Results(list(UNTIL))
    for line in path.read_text(encoding="utf-8").splitlines():
        results.read(json.loads(line))
    return results


def test_out_of_time_every_part_says_what_it_leaves_out(setup: Setup, tmp_path: Path) -> None:
    late = replace(setup, started=perf_counter() - 1e6)
    assert worker.work(list(UNTIL), late, 540, tmp_path / "records", quick=True) == 0
    results = _records(tmp_path / "records")
    assert set(results.state) == set(UNTIL)
    for wanted in (
        "placement: CNN, flatten(1), folded, float32, opset 20",
        "placement: NALU [4, 5, 2], live, float64, opset 20",
        "ulp: Exp, float32 and what comes after it",
        "convolutions: 2 → 3, 6², batch 2",
        "TF32: 4 × 8 → 8 and what comes after it",
        "TorchScript: NALU [4, 5, 2], folded and what comes after it",
        "graphs: NALU [4, 5, 2], folded and what comes after it",
        "pytest -m cuda",
    ):
        assert f"{wanted}: {OUT_OF_TIME}" in results.skipped
    assert any(line.startswith("latency: NALU [64, 64, 10], folded, batch 1, inputs") for line in results.skipped)
    page = results.page()
    assert all(f"- {line}" in page for line in results.skipped)


def test_a_runtime_that_is_missing_is_skipped_with_its_reason(setup: Setup) -> None:
    context = Context(setup, quick=True, missing={"onnxruntime-cpu": "no provider", "torchscript": "no device"})
    assert context.running("torch", "onnxruntime-cpu", "torchscript") == ["torch"]
    for part in UNTIL:
        if part in ("placement", "torchscript", "graphs"):
            assert list(worker.part_of(part)(context)) == []
    assert context.skipped == [
        "whatever runs in onnxruntime-cpu: no provider",
        "whatever runs in torchscript: no device",
    ]


# Parts that fail.


def test_a_part_that_raises_is_recorded_and_ends_its_process(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later part in the same process would find the device spoilt; the supervisor gives it another one."""

    def part_of(name: str) -> Callable[[Context], Iterator[Section]]:
        def measure(context: Context) -> Iterator[Section]:
            yield Section(f"Table of {name}", "Faked.", ("a",), (("1",),))
            if name == "ulp":
                raise ZeroDivisionError("CUDA error 700")

        return measure

    monkeypatch.setattr(worker, "part_of", part_of)
    assert worker.work(["placement", "ulp", "tf32"], setup, 540, tmp_path / "records", quick=True) == 1
    results = _records(tmp_path / "records")
    assert [section.title for section in results.sections] == ["Table of placement", "Table of ulp"]
    assert results.failed == {"ulp": "ZeroDivisionError: CUDA error 700"}
    assert "tf32" in results.to_do
    assert "- ulp: FAILED: ZeroDivisionError: CUDA error 700\n" in results.page()
    assert "- tf32: not begun\n" in results.page()


# A worker that crashes in one part, hangs in another and raises in a third.
WORKER = """
import json, os, sys, time
def write(**record):
    with open(sys.argv[1], "a") as file:
        file.write(json.dumps(record) + "\\n")
write(facts=[["device", "Some GPU"]], missing={}, nothing_runs=False)
for part in sys.argv[2:]:
    write(part=part, begins=True)
    table = dict(title=f"Table of {part}", method="Faked.", header=["a"], rows=[["1"]], targets=[])
    write(part=part, section=table, skipped=[f"half of {part}"])
    if part == "ulp":
        os.abort()
    if part == "tf32":
        time.sleep(600)
    if part == "graphs":
        write(part=part, failed="ValueError: no")
        sys.exit(1)
    write(part=part, ran=1.0)
"""


def test_a_part_that_crashes_hangs_or_raises_costs_itself_alone() -> None:
    results, pages = Results(list(UNTIL)), []

    def command(parts: Sequence[str], path: Path) -> list[str]:
        return [sys.executable, "-c", WORKER, str(path), *parts]

    Supervisor(command, results, 0.0, lambda: pages.append(results.page()), grace=3.0).run()
    assert results.failed["ulp"] == f"the process ended with exit code {-signal.SIGABRT}"
    assert results.failed["tf32"].endswith("s after the start: it did not come back")
    assert results.failed["graphs"] == "ValueError: no"
    assert [part for part, state in results.state.items() if state == "ran in 1 s"] == [
        part for part in UNTIL if part not in results.failed
    ]
    # What they had found before is kept, and was there before they ended.
    assert [section.title for section in results.sections] == [f"Table of {part}" for part in UNTIL]
    assert results.skipped == [f"half of {part}" for part in UNTIL]
    assert any("- tf32: under way\n" in page and "## Table of tf32" in page for page in pages)


@pytest.mark.parametrize("code", ["raise SystemExit(7)", "import time; time.sleep(600)"])
def test_a_worker_that_does_not_begin(code: str) -> None:
    results = Results(["ulp", "tf32"])
    Supervisor(lambda parts, path: [sys.executable, "-c", code], results, 540, to_start=0.5, grace=0.1).run()
    assert results.failed == dict.fromkeys(results.parts, "the process ended, or was stopped, before it began")


def test_the_exit_code_says_whether_all_parts_ran(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(self: Supervisor) -> None:
        self.results.read({"part": "ulp", "begins": True})
        self.results.read({"part": "ulp", "failed": "ValueError: no", "skipped": ["a half"]})
        self.on_change()

    monkeypatch.setattr(Supervisor, "run", run)
    page = tmp_path / "probe.md"
    assert cuda_probe.main(["--parts", "ulp", "--write", str(page)], setup) == 1
    assert "- ulp: FAILED: ValueError: no" in page.read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"ulp: FAILED: ValueError: no\nskipped: a half\nwritten: {page}\n"


# What the parts say.


def test_a_file_that_does_not_load_or_run_says_why(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(NALU(2, 1))
    assert placement.verdict(setup, graph, "no file: why", (2,)) == "no file: why"
    assert placement.verdict(setup, graph, b"no ONNX", (2,)).startswith("refused: onnxruntime-cpu refuses the file: ")

    def refuse(inputs: Any) -> Any:
        raise ValueError("no kernel image")

    data = formats.get("onnx").emit(graph, EmitOptions()).to_bytes({})
    monkeypatch.setattr(runtimes.get("onnxruntime-cpu"), "load", lambda *_: SimpleNamespace(run=refuse))
    monkeypatch.setattr(
        placement, "elsewhere", lambda *_: [Placed("Shape", "a"), Placed("Det", "b"), Placed("Shape", "")]
    )
    said = placement.verdict(setup, graph, data, (2,))
    assert said == "loads, does not run: ValueError: no kernel image; CPU: Shape ×2, Det ×1"


def test_agreement_to_the_bit() -> None:
    a, b = np.ones(4, np.float32), np.ones(4, np.float32)
    assert convolutions.agreement([[a], [b]]) == "equal"
    b[1] = np.nextafter(b[1], np.float32(2))
    assert convolutions.agreement([[a], [a], [b]]) == "25.0% differ, by up to 1.2e-07"


def test_an_error_beyond_its_bound_stands_out() -> None:
    x = np.random.default_rng(0).uniform(1, 2, (8, 4)).astype(np.float32)
    graph = graph_of(NALU(4, 2))
    found = held.Held(graph, x)
    (out,) = runtimes.get("torch").load(graph.called(graph.module), b"", RunOptions()).run([x])
    right = out.astype(np.float32)
    assert held.share(found.ratio([right], held.EAGER)).endswith("%")
    assert held.share(found.ratio([right * np.float32(1.01)], held.EAGER)).startswith("EXCEEDS: ")
    assert held.share(found.ratio([right * np.float32("nan")], held.EAGER)) == "NaN or ∞"


OUTPUT = """\
tests/a.py::test_x PASSED                [ 50%]
=================================== FAILURES ===================================
____ test_y ____
E   assert 1 == 2
============================= slowest 20 durations =============================
1.50s call     tests/a.py::test_x[some name]
0.20s setup    tests/a.py::test_y
=========================== short test summary info ============================
FAILED tests/a.py::test_y - assert 1 == 2
SKIPPED [1] tests/a.py:3: no device
========================= 1 failed, 1 passed in 2.00s ==========================
"""


def test_what_is_kept_of_pytest() -> None:
    summary, slowest, failures = suite.tables(OUTPUT)
    assert summary.method.endswith("1 failed, 1 passed in 2.00s")
    assert summary.rows == (
        ("FAILED", "tests/a.py::test_y - assert 1 == 2"),
        ("SKIPPED", "[1] tests/a.py:3: no device"),
    )
    assert slowest.rows == (("tests/a.py::test_x[some name]", "call", "1.50"), ("tests/a.py::test_y", "setup", "0.20"))
    assert [row[1] for row in failures.rows][1:] == ["____ test_y ____", "E   assert 1 == 2"]
    assert len(list(suite.tables(""))) == 2


def test_pytest_is_stopped_in_time_and_its_output_kept(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, time; print('tests/a.py::test_x', flush=True); time.sleep(600)"
    output, stopped = suite.run([sys.executable, "-c", code], 1.0)
    assert stopped
    assert output.startswith("tests/a.py::test_x\n")
    assert "KeyboardInterrupt" in output
    monkeypatch.setattr(suite, "NEEDED", ("pytest", "no_such_package"))
    context = Context(setup)
    assert list(suite.measure(context)) == []
    assert context.skipped == ["pytest -m cuda: no_such_package not installed"]


PLANNED = """
from functools import partial
from benchmarks.cuda_parity import Subject
from benchmarks.cuda_setup import Setup
from benchmarks.probe import placement
from benchmarks.probe.context import Context
from benchmarks.probe.models import IMAGE, Rows
from nalu_export.runtimes._onnxruntime import OrtSession

OrtSession.run = lambda self, inputs: inputs  # the libraries compute nothing
for row in placement.table(Context(Setup(), quick=True), "Table", [Subject("rows", Rows, IMAGE)]).rows:
    print(" | ".join(row))
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(cuda_stand_ins.unavailable()), reason=cuda_stand_ins.unavailable())
def test_the_nodes_that_the_real_provider_leaves_to_the_cpu() -> None:
    done = cuda_stand_ins.run(["-c", PLANNED])
    lines = done.stdout.splitlines()
    assert lines[0] == "rows | folded | float32 | runs; CPU: Concat ×1 | ", done.stderr
    assert lines[2] == "rows | live | float32 | runs; CPU: Concat ×1 | yes; fold=False: no"
