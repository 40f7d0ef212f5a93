"""benchmarks/cuda_setup.py: the facts about the machine."""

import pytest
import torch

from benchmarks import cuda_setup


def test_facts_name_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_setup, "device_facts", lambda: {"device": "Some GPU", "driver": "1.2"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (9, 0))
    facts = cuda_setup.facts()
    assert facts[:3] == [("device", "Some GPU"), ("driver", "1.2"), ("compute capability", "9.0")]
