"""benchmarks/cuda_latency.py: every way to run a model is timed, or says why not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import cuda_latency
from benchmarks.cuda_latency import BINDING, CALL, COLUMNS, DEVICE, EAGER, GRAPH, HOST, Line
from benchmarks.cuda_setup import OUT_OF_TIME, Setup
from benchmarks.timing import Timing
from nalu_export.graph.folding import WEIGHTS, Weights
from tests.benchmarks.cuda_cases import TINY


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
