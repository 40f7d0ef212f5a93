"""Errors of a CUDA device, told apart from errors of the file, in one line that does not name the host."""

import re

from nalu_export.errors import RuntimeUnavailableError, first_line

# "CUDA failure 2: out of memory ; GPU=0 ; hostname=node17 ; file=/onnxruntime_src/… ; line=65 ; expr=cudaMalloc(…); "
# (onnxruntime, core/providers/cuda/cuda_call.cc), often after a location in its sources.
_FAILURE = re.compile(r"\b(?:CUDA|CUDNN|CUBLAS|CUSPARSE|CURAND|CUFFT|NCCL)\w* failure \d+: .*")
# The prefix of other errors: "/onnxruntime_src/….h:63 static … f(…) [ONNXRuntimeError] : 1 : FAIL : ".
_HEAD = re.compile(r"(?:/\S+\.\w+:\d+ .*?)?\[ONNXRuntimeError\] : \d+ : (?:[A-Z_]+ : )?")
_PLACE = re.compile(r"\s*;\s*(?:hostname|file|line)=[^;]*")

_FAULTS = (
    (
        re.compile(r"out of memory|failed to allocate memory|_ALLOC_FAILED", re.IGNORECASE),
        "the device is out of memory; free some of it, or run fewer samples",
    ),
    (
        re.compile(r"driver version is insufficient|failure (?:35|803|804)\b|driver on your system is too old"),
        "NVIDIA's driver is older than this CUDA needs; update the driver, or install builds for an older CUDA",
    ),
    (
        re.compile(r"no CUDA-capable device|invalid device (?:ordinal|id)|failure 10[01]\b", re.IGNORECASE),
        "there is no such CUDA device; devices are counted from 0, and only among those in CUDA_VISIBLE_DEVICES",
    ),
    (
        re.compile(r"no kernel image is available|failure (?:209|222)\b|unsupported toolchain", re.IGNORECASE),
        "this build has no code for a device of this kind; install one whose CUDA version supports it",
    ),
    (
        re.compile(r"cudnn is (?:not available|unavailable)|libcudnn|cudnn handle is required", re.IGNORECASE),
        "cuDNN is missing, which convolutions, pooling, some reductions and recurrent layers need; "
        "pip install 'onnxruntime-gpu[cuda,cudnn]'",
    ),
    (
        re.compile(
            r"\b(?:CUDA|CUDNN|cuDNN|CUBLAS|cuBLAS)\w* (?:failure|error)|(?:CUBLAS|CUDNN|CUDA)_(?:STATUS|ERROR)_"
        ),
        "the device failed",
    ),
)


def told(error: BaseException) -> str:
    """Return the first line of an error, without the location in ONNX Runtime's sources and the name of the host."""
    line = first_line(error)
    failure = _FAILURE.search(line)
    return _PLACE.sub("", failure[0]).replace(" ;", ";").strip(" ;") if failure else _HEAD.sub("", line)


def device_fault(error: BaseException, runtime: str) -> RuntimeUnavailableError | None:
    """Return the error that a fault of the device means; ``None`` if the error is not the device's.

    Args:
        error: the exception that a library raised.
        runtime: name of the runtime, for the message.
    """
    text = str(error)
    for pattern, meaning in _FAULTS:
        if pattern.search(text):
            return RuntimeUnavailableError(f"{runtime}: {meaning} ({told(error)})")
    return None
