"""benchmarks/cuda_tf32.py: TF32 is caught where it is not allowed, and widens the bound where it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import cuda_tf32
from benchmarks.cuda_parity import Outcome, Subject
from benchmarks.cuda_setup import Setup
from benchmarks.cuda_tf32 import Trial
from nalu_export import NALU, runtimes
from nalu_export.runtimes.base import Arrays, RunOptions, Session
from tests.benchmarks.cuda_cases import outcome_of, row_of


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
    good, bad = outcome_of(row_of("r", "ones", 0.1, 1.0)), outcome_of(row_of("r", "ones", 9.0, 1.0, passed=False))
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
