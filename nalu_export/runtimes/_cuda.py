"""What the runtimes on a CUDA device share: the device's name, its driver, and TF32."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

UNKNOWN = "unknown"

_Setting = TypeVar("_Setting")


def device_facts() -> dict[str, str]:
    """``device``, the name of the first CUDA device, and ``driver``, the version of NVIDIA's driver.

    From ``nvidia-smi``, which comes with the driver; a torch that sees the device knows its name better, since it
    counts devices as CUDA does. ``unknown`` where nothing answers.
    """
    name, driver = _from_nvidia_smi()
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
    return {"device": name, "driver": driver}


def _from_nvidia_smi() -> tuple[str, str]:
    # CUDA numbers only the devices of CUDA_VISIBLE_DEVICES (indices or UUIDs), nvidia-smi all of them.
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", f"--id={first}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN, UNKNOWN
    name, _, driver = answer.stdout.strip().partition("\n")[0].rpartition(",")
    return name.strip() or UNKNOWN, driver.strip() or UNKNOWN


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in torch's matrix products and convolutions for a while, then put everything back.

    torch has two interfaces to this: ``allow_tf32`` with ``set_float32_matmul_precision``, and ``fp32_precision``
    (since 2.9), which is what its kernels go by. The older one is set with it, so that whatever still reads that finds
    the same; torch raises where the two disagree. Where they disagree already, it is left alone.
    """
    backends: Any = torch.backends
    # The last one is the CPU's; set_float32_matmul_precision sets it together with the first.
    operations = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)
    precisions = [operation.fp32_precision for operation in operations]
    products = _if_agreed(torch.get_float32_matmul_precision)
    convolutions = _if_agreed(lambda: backends.cudnn.allow_tf32)
    try:
        if products is not None:
            backends.cuda.matmul.allow_tf32 = allowed
        if convolutions is not None:
            backends.cudnn.allow_tf32 = allowed
        for operation in operations[:3]:
            operation.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        if products is not None:
            torch.set_float32_matmul_precision(products)
        if convolutions is not None:
            backends.cudnn.allow_tf32 = convolutions
        for operation, precision in zip(operations, precisions, strict=True):
            # "none" inherits from the parent setting: where that gives what was read, nothing of its own was set.
            operation.fp32_precision = "none"
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision


def _if_agreed(read: Callable[[], _Setting]) -> _Setting | None:
    try:
        return read()
    except RuntimeError:
        return None
