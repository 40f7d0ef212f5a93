"""The name of the device and of its driver, and what the environment says of TF32."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from nalu_export.runtimes._cuda_device import _from_nvidia_smi, device_facts, tf32_state

Answer = Callable[[list[str]], str | Exception]

LISTED = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
GPU 1: NVIDIA H200 (UUID: GPU-9a0f0ee9-0000-0000-0000-000000000000)
  MIG 1g.18gb     Device  0: (UUID: MIG-0a757cd7-e142-573a-8e15-b03d92b19a4d)
  MIG 2g.35gb     Device  1: (UUID: MIG-72a4ec33-0000-0000-0000-000000000000)
"""


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    _from_nvidia_smi.cache_clear()
    yield
    _from_nvidia_smi.cache_clear()


def _answering(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        given = answer(command)
        if isinstance(given, Exception):
            raise given
        return subprocess.CompletedProcess(command, 0, given, "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_nvidia_smi_names_the_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    commands = _answering(monkeypatch, lambda command: f"NVIDIA H200 {command[-1]}, 590.12.01\n")
    for _ in range(2):
        assert device_facts() == {"device": "NVIDIA H200 --id=3", "driver": "590.12.01"}
    assert device_facts(1)["device"] == "NVIDIA H200 --id=1"
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    assert commands == [[*query, "--id=3"], [*query, "--id=1"]]


def test_a_part_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-72a4ec33-0000-0000-0000-000000000000")
    commands = _answering(monkeypatch, lambda command: LISTED if "-L" in command else "NVIDIA H200, 590.12.01\n")
    assert device_facts() == {"device": "NVIDIA H200 MIG 2g.35gb", "driver": "590.12.01"}
    assert commands[-1][-1] == "--id=1"


@pytest.mark.parametrize("mig", ["MIG-00000000-0000-0000-0000-000000000000", "MIG-"], ids=["no device", "several"])
def test_a_part_that_is_not_listed_is_unknown(monkeypatch: pytest.MonkeyPatch, mig: str) -> None:
    """It is on no GPU that is known; the driver is the same for every GPU."""
    answers = {"-L": LISTED, "--query-gpu=driver_version": "590.12.01\n590.12.01\n"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mig)
    commands = _answering(monkeypatch, lambda command: answers[command[1]])
    assert device_facts() == {"device": "unknown", "driver": "590.12.01"}
    assert not [word for command in commands for word in command if word.startswith("--id")]


def test_torch_knows_its_device_better(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = _answering(monkeypatch, lambda _: "NVIDIA H200, 590.12.01\n")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"torch's {number}")
    assert device_facts(1) == {"device": "torch's 1", "driver": "590.12.01"}
    assert commands[0][-1] == "--id=1"
    assert device_facts(2)["device"] == "NVIDIA H200"


@pytest.mark.parametrize(
    "answer", [FileNotFoundError("nvidia-smi"), subprocess.CalledProcessError(9, "nvidia-smi"), "", "\n"]
)
@pytest.mark.parametrize("visible", ["0", "MIG-72a4ec33"])
def test_what_nobody_knows_is_unknown(monkeypatch: pytest.MonkeyPatch, answer: str | Exception, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    _answering(monkeypatch, lambda _: answer)
    assert device_facts() == {"device": "unknown", "driver": "unknown"}


@pytest.mark.parametrize(
    ("set_to", "said", "options"),
    [
        (None, "on", {}),
        ("0", "on, NVIDIA_TF32_OVERRIDE=0", {"NVIDIA_TF32_OVERRIDE": "0"}),
    ],
)
def test_the_environment_overrides_tf32(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, said: str, options: dict[str, str]
) -> None:
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    if set_to is not None:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", set_to)
    assert tf32_state(True) == (said, options)
