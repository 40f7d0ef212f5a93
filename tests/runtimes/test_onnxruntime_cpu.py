"""ONNX Runtime on the CPU."""

from collections.abc import Callable

from nalu_export import NALU, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.runtimes.base import RunOptions, Session
from tests.captured import graph_of


def test_it_says_what_runs(nalu: NALU, load: Callable[..., Session]) -> None:
    session = load("onnxruntime-cpu", nalu)
    assert session.where.endswith(", CPUExecutionProvider")
    assert session.details["provider"] == "CPUExecutionProvider"
    assert session.details["device"] == "CPU"
    assert session.details["threads"] == "1"


def test_threads_are_its_own_unless_given(nalu: NALU) -> None:
    data = formats.get("onnx").emit(graph_of(nalu), EmitOptions()).to_bytes({})
    session = runtimes.get("onnxruntime-cpu").load(nalu, data, RunOptions())
    assert session.details["threads"] == "default"
