"""benchmarks/cuda_fallback.py: what would run on the CPU is refused."""

from typing import Any

import pytest

from benchmarks import cuda_fallback
from benchmarks.cuda_fallback import NO_DEVICE, NO_KERNEL, PLAIN, Refusal
from benchmarks.cuda_setup import Setup
from nalu_export import runtimes
from nalu_export.errors import RuntimeUnavailableError
from nalu_export.runtimes.base import Session


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
