"""I/O binding and CUDA graphs, here with the CPU as the device."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from nalu_export import NALU, InputError, runtimes
from nalu_export.runtimes._onnxruntime import OrtSession, Target
from nalu_export.runtimes._ort_binding import BindingSession, GraphSession
from nalu_export.runtimes.base import RunOptions
from tests.alone import run_one

Array = NDArray[np.float32]


@pytest.mark.parametrize("kind", [BindingSession, GraphSession])
def test_bound_buffers_give_the_same_on_the_cpu(
    kind: type[OrtSession], head_file: bytes, batch: Array, batches: list[Array]
) -> None:
    plain = OrtSession(head_file, onnxruntime, Target("plain"))
    bound = kind(head_file, onnxruntime, Target("bound"))
    for x in batches:
        kept = x.copy()
        np.testing.assert_array_equal(run_one(bound, x), run_one(plain, x))
        np.testing.assert_array_equal(x, kept)
    seen = bound.values([batch], ["layers.0.m", "layers.0.W"])
    np.testing.assert_array_equal(seen["layers.0.m"], plain.values([batch], ["layers.0.m"])["layers.0.m"])
    with pytest.raises(InputError, match=r"^onnxruntime: .*invalid dimensions"):
        bound.run([np.zeros((1, 7), np.float32)])
    assert bound.where.endswith(kind.mode)


def test_an_array_that_is_not_contiguous_runs(head_file: bytes, batches: list[Array]) -> None:
    x = np.asfortranarray(batches[0])
    plain = OrtSession(head_file, onnxruntime, Target("plain"))
    for kind in (OrtSession, BindingSession, GraphSession):
        bound = kind(head_file, onnxruntime, Target("bound"))
        np.testing.assert_array_equal(run_one(bound, x), run_one(plain, x.copy()))


def test_a_result_is_not_overwritten_by_the_next_run(head_file: bytes) -> None:
    session = GraphSession(head_file, onnxruntime, Target("graph"))
    first = run_one(session, np.ones((2, 4), np.float32))
    kept = first.copy()
    session.run([np.full((2, 4), 3, np.float32)])
    np.testing.assert_array_equal(first, kept)


def test_one_graph_for_each_shape(nalu: NALU, head_file: bytes, pretended_cuda: Callable[..., Any]) -> None:
    module = pretended_cuda()
    session = runtimes.get("onnxruntime-cuda-graph").load(nalu, head_file, RunOptions())
    assert module.options["enable_cuda_graph"] == "1"
    assert session.where.endswith(", CUDA graph")
    session.run([np.ones((5, 4), np.float32)])
    assert module.graphs == ["-1", *4 * ["1"]]  # without a graph, two regular runs, the capture, the replay
    session.run([np.ones((2, 4), np.float32)])
    assert module.graphs[5:] == ["-1", *4 * ["2"]]
    session.run([np.zeros((5, 4), np.float32)])
    assert module.graphs[10:] == ["1"]
    session.run([np.zeros((0, 4), np.float32)])
    assert module.graphs[11:] == ["-1"]


def test_the_others_capture_nothing(nalu: NALU, head_file: bytes, pretended_cuda: Callable[..., Any]) -> None:
    module = pretended_cuda()
    for name in ("onnxruntime-cuda", "onnxruntime-cuda-binding"):
        runtimes.get(name).load(nalu, head_file, RunOptions()).run([np.ones((5, 4), np.float32)])
        assert "enable_cuda_graph" not in module.options
    assert module.graphs == []


def test_a_second_thread_has_graphs_of_its_own(
    nalu: NALU, head_file: bytes, pretended_cuda: Callable[..., Any]
) -> None:
    """ONNX Runtime keeps a graph with the thread that captured it."""
    module = pretended_cuda()
    session = runtimes.get("onnxruntime-cuda-graph").load(nalu, head_file, RunOptions())
    x = np.ones((5, 4), np.float32)
    here = run_one(session, x)
    with ThreadPoolExecutor(1) as pool:
        np.testing.assert_array_equal(pool.submit(run_one, session, x).result(), here)
    assert module.graphs == ["-1", *4 * ["1"], "-1", *4 * ["2"]]
