"""The CUDA provider's options, and why it does not load: said by the real wheel where there is one and no device."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nalu_export import NALU, InputError, RuntimeUnavailableError, export, runtimes, save
from nalu_export.runtimes._ort_cuda import need_provider, not_loaded, provider_options, why_not
from nalu_export.runtimes.base import RunOptions

#: The folder of ``pip install --no-deps --target … onnxruntime-gpu``; ``make ort-gpu`` makes it.
WHEEL = os.environ.get("NALU_ORT_GPU", "")
NAMES = ("onnxruntime-cuda", "onnxruntime-cuda-binding", "onnxruntime-cuda-graph")
CANNOT_OPEN = "cannot open shared object file: No such file or directory"


@pytest.fixture
def library(tmp_path: Path, pretended_cuda: Callable[..., Any]) -> Callable[..., Any]:
    """A pretended onnxruntime whose provider's library is a file."""

    def build(**given: Any) -> Any:
        module = pretended_cuda(**given)
        folder = tmp_path / "onnxruntime"
        (folder / "capi").mkdir(parents=True, exist_ok=True)
        (folder / "capi" / "libonnxruntime_providers_cuda.so").touch()
        module.__file__ = str(folder / "__init__.py")
        return module

    return build


def _failed(library: str) -> RuntimeError:
    return RuntimeError(
        f"[ONNXRuntimeError] : 1 : FAIL : Failed to load library /x.so with error: {library}: {CANNOT_OPEN}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_library_is_named(nalu: NALU, name: str, library: Callable[..., Any], capfd: Any) -> None:
    module = library(preloading="Failed to load libcublasLt.so.13: …", unloadable=_failed("libcublasLt.so.13"))
    message = (
        f"{name}: onnxruntime 1.0, built for CUDA 13.0, cannot load its CUDAExecutionProvider: libcublasLt.so.13 is "
        "missing; pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'"
    )
    with pytest.raises(RuntimeUnavailableError) as error:
        runtimes.get(name).load(nalu, b"", RunOptions())
    assert str(error.value) == message
    assert module.sessions == 0
    assert capfd.readouterr() == ("", "")


def test_without_a_driver(library: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    module = library(unloadable=_failed("libcuda.so.1"))
    monkeypatch.setattr("nalu_export.runtimes._ort_cuda._has_driver", lambda: False)
    with pytest.raises(RuntimeUnavailableError, match=r"libcuda\.so\.1 is missing; it is part of NVIDIA's driver"):
        need_provider(module, "onnxruntime-cuda")


def test_what_the_provider_does_without(library: Callable[..., Any]) -> None:
    module = library(preloading="Failed to load libcufft.so.12: …")
    need_provider(module, "onnxruntime-cuda")
    assert why_not(module) == ""


def test_another_cuda_than_torch_s(library: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    error = not_loaded(library(), "onnxruntime-cuda", f"libcublasLt.so.13: {CANNOT_OPEN}")
    assert str(error).endswith(
        "libcublasLt.so.13 is missing; torch has the libraries of CUDA 12.8, which is another version; "
        "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.24,<1.27'"
    )


def test_options() -> None:
    given = provider_options(RunOptions(provider_options={"cudnn_conv_algo_search": "DEFAULT"}), enable_cuda_graph="1")
    assert given == {
        "use_tf32": "0",
        "cudnn_conv_algo_search": "DEFAULT",
        "enable_cuda_graph": "1",
    }
    for key in ("use_tf32", "device_id", "gpu_mem_limit", "enable_cuda_graph"):
        with pytest.raises(InputError, match=f"^provider option {key}: "):
            provider_options(RunOptions(provider_options={key: "1"}))


def _of_the_wheel(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    if not WHEEL:
        pytest.skip("NALU_ORT_GPU names no folder with onnxruntime-gpu; make ort-gpu")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device; tests marked cuda run on it")
    path = os.pathsep.join([WHEEL, str(Path(__file__).parents[2])])
    return subprocess.run(
        [sys.executable, *command], env={**os.environ, "PYTHONPATH": path}, cwd=folder, capture_output=True, text=True
    )


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", NAMES)
def test_the_wheel_says_what_it_misses(name: str, tmp_path: Path) -> None:
    """The real library without CUDA: one line with the library, exit code 3, nothing else on any stream."""
    model = NALU(2, 2)
    save(model, tmp_path / "model.pt")
    export(model, tmp_path / "model.onnx", check=False)
    done = _of_the_wheel(["-m", "nalu_export", "check", "model.pt", "model.onnx", "--runtime", name], tmp_path)
    assert done.returncode == 3
    assert done.stdout == ""
    line, *more = done.stderr.splitlines()
    assert more == []
    assert f"{name}: onnxruntime 1." in line
    assert " is missing; " in line
    assert ".so." in line.partition(" is missing; ")[0].split()[-1]


@pytest.mark.slow
def test_the_wheel_runs_on_the_cpu(tmp_path: Path) -> None:
    """``all`` with it checks on the CPU and lists the reason why not on CUDA."""
    model = NALU(2, 2)
    save(model, tmp_path / "model.pt")
    export(model, tmp_path / "model.onnx", check=False)
    command = ["-m", "nalu_export", "check", "model.pt", "model.onnx", "--runtime", "all", "--samples", "4"]
    done = _of_the_wheel([*command, "--search", "0", "--json", "-"], tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for name in NAMES:
        assert " is missing; " in report["missing"][name]
    assert "onnxruntime-cpu" in {runtime["name"] for runtime in report["runtimes"]}
    assert done.stderr == ""
