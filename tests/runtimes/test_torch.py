"""Eager PyTorch, on the CPU and, as far as can be had without a device, on CUDA."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU, InputError, RuntimeUnavailableError, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.runtimes._torch import EagerSession, memory_limit
from nalu_export.runtimes.base import RunOptions, Session
from tests.alone import run_one
from tests.captured import graph_of


def test_the_model_is_not_shared(nalu: NALU, load: Callable[..., Session]) -> None:
    session = load("torch", nalu)
    x = np.ones((1, 4), np.float32)
    before = run_one(session, x)
    with torch.no_grad():
        next(nalu.parameters()).add_(1.0)
    np.testing.assert_array_equal(run_one(session, x), before)


class _Pair(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x + y, x - y


def test_a_model_of_several_inputs_and_outputs() -> None:
    session = runtimes.get("torch").load(_Pair(), b"", RunOptions())
    x, y = np.ones((2, 4), np.float32), np.full((2, 4), 3, np.float32)
    total, difference = session.run([x, y])
    np.testing.assert_array_equal(total, x + y)
    np.testing.assert_array_equal(difference, x - y)


class _Text(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return x, "text"


def test_a_model_that_gives_no_tensor() -> None:
    session = runtimes.get("torch").load(_Text(), b"", RunOptions())
    with pytest.raises(InputError, match=r"^torch: the module returns str, not a tensor$"):
        session.run([np.ones((1, 4), np.float32)])


@pytest.mark.parametrize("name", ["torch-cuda", "torchscript-cuda"])
@pytest.mark.parametrize(("built", "reason"), [(None, "was built without CUDA"), ("13.0", "sees no CUDA device")])
def test_no_device_is_an_error(
    nalu: NALU, name: str, built: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    with pytest.raises(RuntimeUnavailableError, match=rf"^{name}: torch \S+ {reason}; ") as error:
        runtimes.get(name).load(nalu, b"", RunOptions())
    assert error.value.exit_code == 3


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("name", ["torch-cuda", "torchscript-cuda"])
def test_cuda_with_a_device_that_is_the_cpu(
    nalu: NALU, name: str, tf32: bool, load: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything of a CUDA session runs, but tensors stay where they are."""
    runtime = runtimes.get(name)
    data = formats.get(runtime.format).emit(graph_of(nalu), EmitOptions()).to_bytes({}) if runtime.format else b""
    x = np.ones((3, 4), np.float32)
    expected = run_one(load(name.removesuffix("-cuda"), nalu), x)
    asked: list[bool] = []
    moved_to: list[torch.device] = []

    def moving(module: nn.Module, device: torch.device) -> nn.Module:
        moved_to.append(device)
        return module

    def loading(file: BytesIO, map_location: torch.device) -> Any:
        moved_to.append(map_location)
        return loaded(file)

    @contextmanager
    def switch(allowed: bool) -> Iterator[None]:
        asked.append(allowed)
        yield

    to = Tensor.to
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    facts = {"device": "Some GPU", "driver": "1.2"}
    monkeypatch.setattr("nalu_export.runtimes._torch.device_facts", lambda number: facts if number == 1 else {})
    loaded: Any = torch.jit.load
    monkeypatch.setattr(torch.jit, "load", loading)
    monkeypatch.setattr("nalu_export.runtimes._torch.tf32", switch)
    monkeypatch.setattr(nn.Module, "to", moving)
    monkeypatch.setattr(
        Tensor, "to", lambda tensor, *how: tensor if isinstance(how[0], torch.device) else to(tensor, *how)
    )
    session = runtime.load(nalu, data, RunOptions(tf32=tf32, device=1))
    np.testing.assert_array_equal(run_one(session, x), expected)
    assert moved_to == [torch.device("cuda", 1)]
    assert asked == [tf32]
    assert session.where.endswith(f"CUDA 13.0, Some GPU, driver 1.2, TF32 {'on' if tf32 else 'off'}")
    assert session.details["options"] == (f"cudnn.allow_tf32={int(tf32)}, device=cuda:1, matmul.allow_tf32={int(tf32)}")
    assert (session.details["device"], session.details["driver"]) == ("Some GPU", "1.2")
    assert session.details["cuda"] == "13.0"


def test_a_device_that_is_not_there(nalu: NALU, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RuntimeUnavailableError, match=r"^torch-cuda: there is no CUDA device 2; torch sees 2, "):
        runtimes.get("torch-cuda").load(nalu, b"", RunOptions(device=2))


class _Late(Tensor):
    """A result whose computation has gone wrong, which shows when it is copied."""

    def cpu(self, *_: object, **__: object) -> Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be late")


class _LateModule(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.as_subclass(_Late)


def test_an_error_that_comes_late_is_the_device_s(monkeypatch: pytest.MonkeyPatch) -> None:
    session = EagerSession(_LateModule(), torch.device("cpu"), RunOptions())
    with pytest.raises(InputError, match=r"^torch: CUDA error: an illegal memory access was encountered$"):
        session.run([np.ones((1, 4), np.float32)])
    monkeypatch.setattr(session, "_device", torch.device("cuda", 0))
    monkeypatch.setattr(Tensor, "to", lambda tensor, *_: tensor)
    with pytest.raises(RuntimeUnavailableError, match=r"^torch: the device failed \(CUDA error: an illegal"):
        session.run([np.ones((1, 4), np.float32)])


def test_memory_is_limited_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    fractions = [1.0]
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: fractions[-1])
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, _: fractions.append(share))
    total = type("Properties", (), {"total_memory": 8 * 2**30})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: total)
    device = torch.device("cuda", 0)
    with pytest.raises(KeyError), memory_limit(device, 2**30):
        raise KeyError(fractions[-1])
    with memory_limit(device, 2**40):
        assert fractions[-1] == 1.0
    with memory_limit(device, None):
        pass
    assert fractions == [1.0, 1 / 8, 1.0, 1.0, 1.0]
