"""ONNX Runtime's CUDA provider: its options, and why it does not load."""

import contextlib
import ctypes
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nalu_export.errors import InputError, RuntimeUnavailableError, option
from nalu_export.runtimes._cuda_faults import told
from nalu_export.runtimes.base import RunOptions

CUDA = "CUDAExecutionProvider"

DRIVER = "libcuda.so.1"
_WARNING, _ERROR = 2, 3
# onnxruntime-gpu on PyPI is built for CUDA 13 from 1.27 on, whose extras name packages that are not there; before it
# for CUDA 12. Before 1.24 a session does not tell which provider runs a node.
_CUDA_12, _CUDA_13 = ">=1.24,<1.27", ">=1.28"
# Options of the provider that have a switch of their own, or would change what a check means.
_OWN = {
    "use_tf32": ("tf32", "switches it"),
    "device_id": ("device", "chooses it"),
    "gpu_mem_limit": ("device_memory", "sets it"),
    "enable_cuda_graph": ("", "the runtime onnxruntime-cuda-graph has it"),
}


def provider_options(options: RunOptions, **more: str) -> dict[str, str]:
    """The options that the provider is given.

    TF32 is off unless asked for; the provider's own default is on. The algorithm of a convolution comes from cuDNN's
    heuristics: the default, a timed search among all, takes another one from run to run, which rounds otherwise, and
    searches again for every shape (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html).

    Raises:
        InputError: one of them has a switch of its own.
    """
    for key in options.provider_options:
        if key in _OWN:
            name, does = _OWN[key]
            raise InputError(f"provider option {key}: {f'{option(name)} ' if name else ''}{does}")
    memory = {} if options.device_memory is None else {"gpu_mem_limit": str(options.device_memory)}
    # Device 0 is the default. Named, it makes 1.31 warn on stderr of a plugin that is not there.
    device = {"device_id": str(options.device)} if options.device else {}
    return {
        **device,
        "use_tf32": "1" if options.tf32 else "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        **memory,
        **more,
        **options.provider_options,
    }


def need_provider(onnxruntime: Any, runtime: str) -> None:
    """Load what the CUDA provider needs, and refuse to go on where it cannot load.

    It is asked for before a session is: a session without its provider takes the CPU, or says that the file is at
    fault, and the cause goes to stderr alone.

    Raises:
        RuntimeUnavailableError: this onnxruntime was built without it, or one of its libraries is missing.
    """
    if CUDA not in onnxruntime.get_available_providers():
        raise RuntimeUnavailableError(
            f"{runtime}: this onnxruntime has no {CUDA}; pip uninstall onnxruntime, then "
            f"pip install '{_package(torch.version.cuda)}'"
        )
    # CUDA and cuDNN from the nvidia-* wheels are not on the loader's path by themselves. What it misses it prints, and
    # much of that the provider does without.
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        onnxruntime.preload_dlls()
    if (said.getvalue().strip() or not _has_driver()) and (reason := why_not(onnxruntime)):
        raise not_loaded(onnxruntime, runtime, reason)


@contextlib.contextmanager
def warnings_off(onnxruntime: Any, *, off: bool) -> Iterator[None]:
    """Keep onnxruntime's own logger, which is not a session's, from warning on stderr for a while.

    It has no way to ask for what was set; what is set afterwards is its default.
    """
    if off:
        onnxruntime.set_default_logger_severity(_ERROR)
    try:
        yield
    finally:
        if off:
            onnxruntime.set_default_logger_severity(_WARNING)


def _has_driver() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True


def why_not(onnxruntime: Any) -> str:
    """Why the provider's library does not load, as the loader says it; empty where it does.

    Registering it as a plugin loads it without a word on stderr and gives the reason (onnxruntime 1.22 and later).
    """
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not library.exists():  # another system
        return ""
    name = "nalu_export_probe"
    try:
        onnxruntime.register_execution_provider_library(name, str(library))
        onnxruntime.unregister_execution_provider_library(name)
    except Exception as error:  # noqa: BLE001  its exceptions share no other base
        return told(error).rpartition("with error: ")[2]
    return ""


def not_loaded(onnxruntime: Any, runtime: str, reason: str) -> RuntimeUnavailableError:
    """The provider is part of this onnxruntime and does not load: which library it misses, and what to install."""
    version, built = onnxruntime.__version__, str(getattr(onnxruntime, "cuda_version", "") or "")
    missing = reason.partition(":")[0] if "cannot open shared object file" in reason else ""
    if missing == DRIVER:
        what, remedy = f"{missing} is missing", "it comes with NVIDIA's driver: run this on a machine that has one"
    else:
        what = f"{missing} is missing" if missing else reason or "its libraries do not load"
        remedy = f"pip install '{_package(torch.version.cuda)}'"
    other = ""
    if torch.version.cuda and built and torch.version.cuda.partition(".")[0] != built.partition(".")[0]:
        other = f"; torch brings CUDA {torch.version.cuda}, which is not the same"
    needs = f", built for CUDA {built}" if built else ""
    return RuntimeUnavailableError(
        f"{runtime}: onnxruntime {version}{needs}, cannot load its {CUDA}: {what}{other}; {remedy}"
    )


def _package(cuda_of_torch: str | None) -> str:
    """The onnxruntime-gpu whose CUDA is torch's, with the libraries that it needs."""
    old = cuda_of_torch is not None and int(cuda_of_torch.partition(".")[0]) < 13
    return f"onnxruntime-gpu[cuda,cudnn]{_CUDA_12 if old else _CUDA_13}"
