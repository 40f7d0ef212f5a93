"""ONNX Runtime's CUDA provider: its options, and the reason why it does not load."""

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
# onnxruntime-gpu on PyPI is built for CUDA 12 before 1.27 and for CUDA 13 from 1.27 on. The extras of 1.27 name
# packages that do not exist. Before 1.24 a session cannot report which provider runs a node.
_CUDA_12, _CUDA_13 = ">=1.24,<1.27", ">=1.28"
# Options of the provider that have a command-line option of their own, or would change what a check means.
_OWN = {
    "use_tf32": ("tf32", "sets this option"),
    "device_id": ("device", "sets this option"),
    "gpu_mem_limit": ("device_memory", "sets this option"),
    "enable_cuda_graph": ("", "the runtime onnxruntime-cuda-graph sets this option"),
}


def provider_options(options: RunOptions, **more: str) -> dict[str, str]:
    """Return the options for the provider.

    TF32 is off unless requested; the provider's own default is on. The algorithm of a convolution comes from cuDNN's
    heuristics. The provider's default is a timed search among all algorithms: it may choose a different one in each
    run, which rounds differently, and it searches again for every shape
    (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html).

    Raises:
        InputError: a given option has a command-line option of its own.
    """
    for key in options.provider_options:
        if key in _OWN:
            name, does = _OWN[key]
            raise InputError(f"provider option {key}: {f'{option(name)} ' if name else ''}{does}")
    memory = {} if options.device_memory is None else {"gpu_mem_limit": str(options.device_memory)}
    # Device 0 is the default. If it is named, 1.31 warns on stderr about a plugin that does not exist.
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
    """Load the libraries of the CUDA provider, and raise if the provider cannot load.

    This happens before a session is made: a session without its provider runs on the CPU, or blames the file, and the
    cause is printed to stderr only.

    Raises:
        RuntimeUnavailableError: this onnxruntime was built without CUDA, or one of its libraries is missing.
    """
    if CUDA not in onnxruntime.get_available_providers():
        raise RuntimeUnavailableError(
            f"{runtime}: this onnxruntime has no {CUDA}; pip uninstall onnxruntime, then "
            f"pip install '{_package(torch.version.cuda)}'"
        )
    # CUDA and cuDNN from the nvidia-* wheels are not on the loader's path. preload_dlls prints the libraries that it
    # does not find; the provider works without many of them.
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        onnxruntime.preload_dlls()
    if (said.getvalue().strip() or not _has_driver()) and (reason := why_not(onnxruntime)):
        raise not_loaded(onnxruntime, runtime, reason)


@contextlib.contextmanager
def warnings_off(onnxruntime: Any, *, off: bool) -> Iterator[None]:
    """Keep onnxruntime's default logger, which is not a session's, from warning on stderr in this context.

    The level that was set before cannot be read; afterwards it is the library's default.
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
    """Return the loader's reason why the provider's library does not load; empty if it loads.

    Registering the library as a plugin loads it silently and returns the reason (onnxruntime 1.22 and later).
    """
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not library.exists():  # another operating system
        return ""
    name = "nalu_export_probe"
    try:
        onnxruntime.register_execution_provider_library(name, str(library))
        onnxruntime.unregister_execution_provider_library(name)
    except Exception as error:  # noqa: BLE001  onnxruntime's exceptions share no other base
        return told(error).rpartition("with error: ")[2]
    return ""


def not_loaded(onnxruntime: Any, runtime: str, reason: str) -> RuntimeUnavailableError:
    """Return the error for a provider that exists but does not load: which library is missing, and what to install."""
    version, built = onnxruntime.__version__, str(getattr(onnxruntime, "cuda_version", "") or "")
    missing = reason.partition(":")[0] if "cannot open shared object file" in reason else ""
    if missing == DRIVER:
        what, remedy = (
            f"{missing} is missing",
            "it is part of NVIDIA's driver: run this on a machine with an NVIDIA driver",
        )
    else:
        what = f"{missing} is missing" if missing else reason or "its libraries do not load"
        remedy = f"pip install '{_package(torch.version.cuda)}'"
    other = ""
    if torch.version.cuda and built and torch.version.cuda.partition(".")[0] != built.partition(".")[0]:
        other = f"; torch has the libraries of CUDA {torch.version.cuda}, which is another version"
    needs = f", built for CUDA {built}" if built else ""
    return RuntimeUnavailableError(
        f"{runtime}: onnxruntime {version}{needs}, cannot load its {CUDA}: {what}{other}; {remedy}"
    )


def _package(cuda_of_torch: str | None) -> str:
    """Return the requirement for an onnxruntime-gpu with torch's CUDA version, with the libraries that it needs."""
    old = cuda_of_torch is not None and int(cuda_of_torch.partition(".")[0]) < 13
    return f"onnxruntime-gpu[cuda,cudnn]{_CUDA_12 if old else _CUDA_13}"
