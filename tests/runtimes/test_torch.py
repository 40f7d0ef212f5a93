"""Eager PyTorch, on the CPU and, as far as can be had without a device, on CUDA."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU, InputError, RuntimeUnavailableError, formats, runtimes
from nalu_export.formats.base import EmitOptions
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

    @contextmanager
    def switch(allowed: bool) -> Iterator[None]:
        asked.append(allowed)
        yield

    to = Tensor.to
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr("nalu_export.runtimes._torch.device_facts", lambda: {"device": "Some GPU", "driver": "1.2"})
    monkeypatch.setattr("nalu_export.runtimes._torch.tf32", switch)
    monkeypatch.setattr(nn.Module, "to", lambda module, device: module)
    monkeypatch.setattr(
        Tensor, "to", lambda tensor, *how: tensor if isinstance(how[0], torch.device) else to(tensor, *how)
    )
    session = runtime.load(nalu, data, RunOptions(tf32=tf32))
    np.testing.assert_array_equal(run_one(session, x), expected)
    assert asked == [tf32]
    assert session.where.endswith(f"CUDA 13.0, Some GPU, driver 1.2, TF32 {'on' if tf32 else 'off'}")
    assert session.details["options"] == f"cudnn.allow_tf32={int(tf32)}, matmul.allow_tf32={int(tf32)}"
    assert (session.details["device"], session.details["driver"]) == ("Some GPU", "1.2")
    assert session.details["cuda"] == "13.0"
