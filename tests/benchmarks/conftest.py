"""CPU runtimes in the place of those of CUDA, for the benchmarks on a device."""

from dataclasses import replace
from time import perf_counter

import pytest

from benchmarks.cuda_setup import Setup


@pytest.fixture
def setup() -> Setup:
    """One that needs no device."""
    return Setup("cpu", "CPUExecutionProvider", ("onnxruntime-cpu",), "torch", "torchscript")


@pytest.fixture
def late(setup: Setup) -> Setup:
    """One whose time is over."""
    return replace(setup, started=perf_counter() - 1e6)
