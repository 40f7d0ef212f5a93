"""benchmarks/cuda.py: without a device it refuses; what it measures and writes, with CPU runtimes in CUDA's place."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import cuda, cuda_fallback, cuda_latency, cuda_parity, cuda_setup, cuda_tf32
from benchmarks.cuda_fallback import NO_DEVICE, NO_KERNEL, PLAIN, Refusal
from benchmarks.cuda_latency import BINDING, CALL, COLUMNS, DEVICE, EAGER, GRAPH, HOST, Line
from benchmarks.cuda_parity import Found, Outcome, Subject
from benchmarks.cuda_setup import OUT_OF_TIME, Setup
from benchmarks.cuda_tf32 import Trial
from benchmarks.report import Section, Target, markdown
from benchmarks.timing import Timing
from nalu_export import NALU, runtimes
from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.graph.folding import WEIGHTS, Weights
from nalu_export.parity import CheckOptions, Row
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.parity.verdict import Status
from nalu_export.runtimes.base import Arrays, RunOptions, Session
from tests.benchmarks.without_device import assert_needs_a_device

TINY = Subject("tiny", lambda: NALU(2, 1), (2,))
QUICK = CheckOptions(samples=8, search=0)


@pytest.fixture
def setup() -> Setup:
    return Setup("cpu", "CPUExecutionProvider", ("onnxruntime-cpu",), "torch", "torchscript")


@pytest.fixture
def late(setup: Setup) -> Setup:
    """One whose time is over."""
    return replace(setup, started=perf_counter() - 1e6)


def _row(runtime: str, distribution: str, ratio: float, e: float, *, passed: bool = True) -> Row:
    return Row(runtime, distribution, 8, 8, ratio, e, 1, 1, 0, 0, 0, Status.PASSED if passed else Status.FAILED)


def _outcome(*rows: Row) -> Outcome:
    passed = all(row.passed for row in rows)
    return Outcome(rows, passed, "" if passed else "it is wrong")


# The command.


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


def test_facts_name_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_setup, "device_facts", lambda: {"device": "Some GPU", "driver": "1.2"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (9, 0))
    facts = cuda_setup.facts()
    assert facts[:3] == [("device", "Some GPU"), ("driver", "1.2"), ("compute capability", "9.0")]


# Parity.


def test_every_kind_of_layer_is_there() -> None:
    subjects = {subject.name: subject for subject in cuda_parity.all_subjects(quick=False)}
    assert [subject.saturated for subject in subjects.values() if subject.saturated] == [2, 16, 64, 256]
    for wanted in ("NAC cell", "NALU cell", "untied, row", "tied, matrix", "ε = 1e-30", "[64, 64, 10]", "CNN"):
        assert any(wanted in name for name in subjects), wanted
    for subject in subjects.values():
        out = subject.model()(torch.ones(3, *subject.shape))
        assert out.shape[0] == 3
        torch.testing.assert_close(out, subject.model()(torch.ones(3, *subject.shape)), rtol=0, atol=0, equal_nan=True)


def test_a_failing_runtime_is_a_cell_of_the_table(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: nn.Module, data: bytes, options: RunOptions) -> Session:
        raise InputError("onnxruntime-cpu refuses the file: no")

    def crash(model: nn.Module, data: bytes, options: RunOptions) -> Session:
        raise ValueError("CUDA error 999")

    names = ["onnxruntime-cpu", "torch"]
    monkeypatch.setattr(runtimes.get("onnxruntime-cpu"), "load", refuse)
    found = cuda_parity.outcomes_of(TINY, "folded", "float32", names, QUICK, {})
    assert found["torch"].passed
    assert str(found["onnxruntime-cpu"]) == "FAIL (onnxruntime-cpu refuses the file: no)"
    monkeypatch.setattr(runtimes.get("onnxruntime-cpu"), "load", crash)
    found = cuda_parity.outcomes_of(TINY, "folded", "float32", names, QUICK, {})
    assert str(found["onnxruntime-cpu"]) == "FAIL (ValueError: CUDA error 999)"


def test_a_missing_runtime_is_a_failure() -> None:
    names = ["onnxruntime-cpu", "openvino"]
    missing = RuntimeUnavailableError("openvino: not installed")

    def absent(*_: Any) -> Session:
        raise missing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtimes.get("openvino"), "load", absent)
        found = cuda_parity.outcomes_of(TINY, "folded", "float32", names, QUICK, {})
    assert found["onnxruntime-cpu"].passed
    assert str(found["openvino"]) == "FAIL (not installed)"


def test_out_of_time(late: Setup) -> None:
    found = cuda_parity.measure(late, quick=True)
    assert {outcome.reason for outcome in found.outcomes.values()} == {OUT_OF_TIME}
    assert not any(target.reached for target in cuda.targets(cuda_parity.sections(found, late, quick=True)))
    assert set(cuda_tf32.measure(late, quick=True).values()) == {OUT_OF_TIME}


def test_parity_tables(setup: Setup) -> None:
    good = _outcome(_row("r", "1..10", 0.45, 2.0), _row("r", "search", 0.3, 6.0), _row("r", INTERMEDIATE, 0.99, 0))
    bad = _outcome(_row("r", "1..10", 0.45, 2.0), _row("r", INTERMEDIATE, 1.5, 0, passed=False))
    infinite = _outcome(_row("r", "zeros", np.inf, 2.0, passed=False))
    assert str(good) == "pass: 45% in 1..10, E 6.0"
    assert str(bad) == "FAIL: 1.5 × bound in intermediate values, E 2.0"
    assert str(infinite) == "FAIL: NaN, ∞ or no output in zeros"
    found = Found({}, {"torch": {"device": "Some GPU", "options": ""}})
    name = "saturated cell, 2 inputs"
    for runtime in setup.names:
        found.outcomes[name, "folded", "float32", runtime] = good
    for runtime in ("onnxruntime-cpu", "torchscript"):
        found.outcomes[name, "folded", "float64", runtime] = _outcome(
            _row(runtime, "ones", 0.9, 0.9), _row(runtime, "zeros", 0.2, 0.5)
        )
    runs, files, cells = cuda_parity.sections(found, setup, quick=False)
    assert runs.rows[1][:4] == ("torch", "did not run", "did not run", "Some GPU")
    assert files.rows[1] == (name, "folded", "float64", "pass: 90% in ones, E 0.90", "", "pass: 90% in ones, E 0.90")
    # E is a claim about the uniform distributions; the others are in brackets.
    assert cells.rows[0] == ("onnxruntime-cpu", "float32", "2.0 (6.0)")
    assert all(target.reached for target in (*files.targets, *cells.targets))

    found.outcomes[name, "live", "float32", "torchscript"] = _outcome(_row("r", "-10..10", 0.5, 5.1))
    found.outcomes[name, "live", "float64", "torchscript"] = infinite
    *_, cells, failures = cuda_parity.sections(found, setup, quick=False)
    assert [target.reached for target in cells.targets] == [False, False]
    assert failures.rows == ((name, "live", "float64", "torchscript", "it is wrong"),)
    assert "NOT reached: E ≤ 5 in float32" in markdown([cells], "# Page")


# TF32.


@pytest.fixture
def fake_tf32(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU runtimes that lose bits of their inputs when they are loaded with ``tf32=True``, as a device would."""
    for name in setup.names:
        kind = type(runtimes.get(name))

        def load(
            self: Any, model: nn.Module, data: bytes, options: RunOptions, load: Callable[..., Session] = kind.load
        ) -> Session:
            session = load(self, model, data, options)
            run = session.run
            if options.tf32:

                def narrowed(inputs: Arrays) -> Arrays:
                    return run([(x.view(np.uint32) & 0xFFFFE000).view(np.float32) for x in inputs])

                session.run = narrowed  # type: ignore[method-assign]
            return session

        monkeypatch.setattr(kind, "load", load)
        monkeypatch.setattr(kind, "cuda", True)


@pytest.mark.usefixtures("fake_tf32")
def test_tf32_is_caught_and_allowed(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject("NALU [8, 2]", lambda: NALU(8, 2), (8,))
    monkeypatch.setattr(cuda_tf32, "all_subjects", lambda *, quick: [subject])
    section = cuda_tf32.section(cuda_tf32.measure(setup, quick=True), setup)
    for row in section.rows:
        assert row[2] != "0%"
        assert row[3].startswith("pass: ")
        assert row[4].startswith("FAIL: ")
        assert " × bound in " in row[4]
        assert row[5].startswith("pass: ")
    assert [target.reached for target in section.targets] == [True, True]
    assert all("load" not in vars(runtimes.get(name)) for name in setup.names)


def test_tf32_that_nobody_uses_or_that_passes_does_not_count(setup: Setup) -> None:
    good, bad = _outcome(_row("r", "ones", 0.1, 1.0)), _outcome(_row("r", "ones", 9.0, 1.0, passed=False))
    right = Trial(0.9, good, bad, good)
    every: dict[tuple[str, str], Trial | str] = {("m", name): right for name in setup.names}
    assert [target.reached for target in cuda_tf32.section(every, setup).targets] == [True, True]
    unused = every | {("n", "torch"): replace(right, changes=0.0, on=good)}
    assert [target.reached for target in cuda_tf32.section(unused, setup).targets] == [True, True]
    for wrong, reached in (
        (replace(right, on=good), [False, True]),
        (replace(right, on=Outcome(reason="crashed")), [False, True]),
        (replace(right, changes=0.0), [False, True]),
        (replace(right, widened=bad), [True, False]),
        ("crashed", [False, False]),
    ):
        section = cuda_tf32.section(every | {("m", "torch"): wrong}, setup)
        assert [target.reached for target in section.targets] == reached


def test_a_device_without_tf32(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (7, 5))
    section = cuda_tf32.section(cuda_tf32.measure(setup, quick=True), setup)
    assert section.targets == ()
    assert section.rows[0][2] == "this device has no TF32: it came with compute capability 8.0"


# Fallback.


@pytest.mark.slow
def test_a_process_without_devices_is_refused() -> None:
    plain, *ours = cuda_fallback.without_device(Setup())
    assert plain.runtime == PLAIN
    assert [refusal.runtime for refusal in ours] == list(Setup().names)
    assert all(refusal.refused for refusal in ours)
    assert "torch-cuda: " in ours[3].text


def test_a_node_without_a_kernel(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, ours = cuda_fallback.without_kernel(setup)
    assert plain.text == "loads without an error; its providers: CPUExecutionProvider"
    assert (ours.how, ours.runtime, ours.refused) == (NO_KERNEL, "onnxruntime-cpu", False)

    for error, refused in (
        (RuntimeUnavailableError("onnxruntime-cpu: cannot run on CUDAExecutionProvider: Det"), True),
        (RuntimeUnavailableError("onnxruntime-cpu: not installed"), False),
        (ValueError("crash"), False),
    ):

        def refuse(*_: Any, error: Exception = error) -> Session:
            raise error

        monkeypatch.setattr(runtimes.get("onnxruntime-cpu"), "load", refuse)
        _, ours = cuda_fallback.without_kernel(setup)
        assert ours.refused is refused
        assert str(error) in ours.text


def test_fallback_table() -> None:
    plain = Refusal(NO_DEVICE, PLAIN, True, "loads without an error")
    refused, ran = Refusal(NO_DEVICE, "a", True, "a: no"), Refusal(NO_DEVICE, "b", False, "it ran")
    assert [row[2] for row in cuda_fallback.section([plain, refused, ran]).rows] == ["–", "refused", "NOT refused"]
    for found, reached in (([plain, refused], True), ([plain, refused, ran], False), ([plain], False)):
        assert cuda_fallback.section(found).targets[0].reached is reached


# Latency.


class _BackendError(RuntimeError):
    inner_exception = OSError("no compiler")


def _compiled(module: nn.Module, mode: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """One mode works, the other fails the way dynamo does: at its first call."""

    def fail(x: torch.Tensor) -> torch.Tensor:
        raise _BackendError

    return fail if mode == "reduce-overhead" else module


def test_latency_of_every_way(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_latency, "compiled", _compiled)
    monkeypatch.setattr(cuda_latency, "all_subjects", lambda *, quick: [TINY])
    lines = cuda_latency.measure(setup, quick=True)
    four = [(1, DEVICE), (1, HOST), (64, DEVICE), (64, HOST)]
    assert [(line.weights, line.batch, line.inputs) for line in lines] == [
        (weights, *each) for weights in WEIGHTS for each in four
    ]
    for line in lines:
        timed = {name for name, side in line.sides.items() if isinstance(side, Timing)}
        assert timed == {EAGER, "compile"} | ({CALL} if line.inputs == HOST else {BINDING, GRAPH})
        assert line.sides["compile, reduce-overhead"] == "n/a (OSError: no compiler)"
    section = cuda_latency.section(lines, quick=True)
    assert section.rows[0][:4] == ("tiny", "folded", "1", "device")
    assert section.rows[0][4 + COLUMNS.index(CALL)] == ""
    assert "×)" in section.rows[0][4 + COLUMNS.index(GRAPH)]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_all_sides_fold_their_weights_or_none_does(
    weights: Weights, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tanh is left in what PyTorch runs and in what ONNX Runtime runs where weights are live, and nowhere else."""
    bench = cuda_latency.Bench(setup, TINY, weights)
    with torch.profiler.profile() as profile:
        bench._module(torch.ones(3, 2))
    groups = bench._plain.get_provider_graph_assignment_info()
    in_onnx = {node.op_type for group in groups for node in group.get_nodes()}
    assert ("aten::tanh" in {event.key for event in profile.key_averages()}) == (weights == "live")
    assert ("Tanh" in in_onnx) == (weights == "live")


def test_a_fast_wrong_answer_is_none(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_latency, "compiled", lambda module, mode: lambda x: module(x) + 1)
    bench = cuda_latency.Bench(setup, TINY)
    found = cuda_latency.time_batch(bench, np.ones((3, 2), np.float32), HOST, quick=True)
    assert found["compile"] == "n/a (wrong result)"
    assert isinstance(found[CALL], Timing)


def test_a_device_that_torch_does_not_have(setup: Setup) -> None:
    """A build of torch without the device leaves ONNX Runtime to be measured, and the other way round."""
    if not torch.cuda.is_available():
        bench = cuda_latency.Bench(replace(setup, device="cuda"), TINY)
        found = cuda_latency.time_batch(bench, np.ones((3, 2), np.float32), HOST, quick=True)
        assert isinstance(found.pop(CALL), Timing)
        assert all(str(side).startswith("n/a (") for side in found.values())
    bench = cuda_latency.Bench(replace(setup, provider="NoSuchExecutionProvider"), TINY)
    found = cuda_latency.time_batch(bench, np.ones((3, 2), np.float32), HOST, quick=True)
    assert isinstance(found[EAGER], Timing)
    assert str(found[CALL]).startswith("n/a (")


def test_latency_out_of_time(late: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_latency, "all_subjects", lambda *, quick: [TINY])
    lines = cuda_latency.measure(late, quick=True)
    assert all(set(line.sides.values()) == {OUT_OF_TIME} for line in lines)
    bench = cuda_latency.Bench(late, TINY)
    sides = bench.sides(np.ones((3, 2), np.float32), DEVICE)
    assert sides["compile"] == OUT_OF_TIME
    assert not isinstance(sides[EAGER], str)


def test_latency_cells() -> None:
    line = Line(
        "m", "live", 1, HOST, {EAGER: Timing((2e-5,)), CALL: Timing((1e-5,)), GRAPH: Timing((3e-2,)), "compile": "n/a"}
    )
    row = cuda_latency.section([line], quick=False).rows[0]
    assert row == ("m", "live", "1", "host", "20.0", "n/a", "", "10.0 (0.50×)", "", "30,000 (1500.00×)")
    alone = replace(line, sides={CALL: Timing((1e-5,)), EAGER: "n/a (no device)"})
    assert cuda_latency.section([alone], quick=False).rows[0][4:8] == ("n/a (no device)", "", "", "10.0")
