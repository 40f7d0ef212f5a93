"""What the runtimes on a CUDA device share: the device's name, its driver, and TF32."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

UNKNOWN = "unknown"


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

    Both of torch's interfaces are set: ``allow_tf32``, and ``fp32_precision`` (since torch 2.9), which each has its own
    idea of the state. Where they disagree, torch raises at the next product, and it reads one of them through a
    parent setting (``torch.backends.fp32_precision``) that may say "tf32" while ``allow_tf32`` is off.
    """
    backends: Any = torch.backends
    # The last one is the CPU's; torch sets it together with the first in set_float32_matmul_precision.
    operations = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)
    precisions = [operation.fp32_precision for operation in operations]
    matmul = torch.get_float32_matmul_precision()
    convolutions = _allowed_in_convolutions(precisions[1])
    try:
        backends.cuda.matmul.allow_tf32 = allowed
        backends.cudnn.allow_tf32 = allowed
        for operation in operations[:3]:
            operation.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        backends.cudnn.allow_tf32 = convolutions
        for operation, precision in zip(operations, precisions, strict=True):
            # "none" inherits from the parent setting: where that gives what was read, nothing of its own was set.
            operation.fp32_precision = "none"
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision


def _allowed_in_convolutions(precision: str) -> bool:
    try:
        return torch.backends.cudnn.allow_tf32
    except RuntimeError:
        # The two interfaces disagree, and torch refuses to say what the older one holds: the other of the two.
        return precision != "tf32"
