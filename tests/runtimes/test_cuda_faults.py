"""Errors of a device are told apart, and name neither the machine nor a place in a library's sources."""

import pytest

from nalu_export.runtimes._cuda_faults import device_fault, told

PLACE = (
    "; GPU=0 ; hostname=node17.example ; file=/onnxruntime_src/cuda_execution_provider.cc ; line=280 ; expr=cudaX(); "
)
SOURCES = (
    "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129 "
    "std::conditional_t<THRW, void, Status> onnxruntime::CudaCall(ERRTYPE) [with ERRTYPE = cudaError] "
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (f"{SOURCES}CUDA failure 2: out of memory {PLACE}", "out of memory"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB", "out of memory"),
        (
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 8",
            "memory",
        ),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", "out of memory"),
        (
            f"{SOURCES}CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version {PLACE}",
            "older than",
        ),
        ("The NVIDIA driver on your system is too old (found version 11040).", "older than"),
        (f"{SOURCES}CUDA failure 100: no CUDA-capable device is detected {PLACE}", "no such CUDA device"),
        ("CUDA error: invalid device ordinal", "no such CUDA device"),
        ("CUDA error: no kernel image is available for execution on the device", "no code for a device"),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Name:'c' Status "
            "Message: cuDNN is not available. Install cuDNN, update the system library search path, or set "
            "enable_cudnn=0 to force native CUDA paths where available.",
            "cuDNN is missing",
        ),
        ("A cuDNN handle is required for CUDA reduction.", "cuDNN is missing"),
        ("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be …", "the device failed"),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "the device failed"),
        (f"{SOURCES}CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED {PLACE}", "the device failed"),
    ],
)
def test_a_fault_of_the_device(text: str, meaning: str) -> None:
    fault = device_fault(RuntimeError(text), "torch-cuda")
    assert fault is not None
    assert fault.exit_code == 3
    said = str(fault)
    assert said.startswith("torch-cuda: ")
    assert meaning in said.partition(" (")[0]
    assert "node17" not in said
    assert "/onnxruntime_src/" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "text",
    [
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: input",
        "mat1 and mat2 shapes cannot be multiplied (1x7 and 4x2)",
        "index 9 is out of bounds for dimension 0 with size 4",
        "No such file: cuda.onnx",
    ],
)
def test_what_is_not_the_device_s_fault(text: str) -> None:
    assert device_fault(RuntimeError(text), "torch-cuda") is None
    assert told(RuntimeError(text)) == text.rpartition(" : ")[2]


def test_what_is_left_of_a_cuda_call() -> None:
    error = RuntimeError(f"{SOURCES}CUDA failure 700: an illegal memory access was encountered {PLACE}")
    assert told(error) == "CUDA failure 700: an illegal memory access was encountered; GPU=0; expr=cudaX()"
