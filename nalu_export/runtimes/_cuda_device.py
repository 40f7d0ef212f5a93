"""Which CUDA device computes: its name, its driver, and what the environment sets for it."""

import functools
import os
import subprocess

import torch

UNKNOWN = "unknown"
#: NVIDIA's libraries read it before every setting of a program; 0 switches TF32 off
#: (https://docs.nvidia.com/deeplearning/frameworks/tensorflow-user-guide/index.html#tf32-toggle).
OVERRIDE = "NVIDIA_TF32_OVERRIDE"


def device_facts(number: int = 0) -> dict[str, str]:
    """``device``, the name of a CUDA device, and ``driver``, the version of NVIDIA's driver.

    From ``nvidia-smi``, which comes with the driver and is asked once in a process; a torch that sees the device knows
    its name better, since it counts devices as CUDA does. ``unknown`` where nothing answers.

    Args:
        number: of the device, as CUDA counts those that are visible.
    """
    name, driver = _from_nvidia_smi(_identity(number))
    if torch.cuda.is_available() and number < torch.cuda.device_count():
        name = torch.cuda.get_device_name(number)
    return {"device": name, "driver": driver}


def tf32_state(on: bool) -> tuple[str, dict[str, str]]:
    """What is said of TF32: ``on`` or ``off``, with the environment's say where it has one; and that as an option."""
    said, override = "on" if on else "off", os.environ.get(OVERRIDE)
    return (said, {}) if override is None else (f"{said}, {OVERRIDE}={override}", {OVERRIDE: override})


def _identity(number: int) -> str:
    """How the environment calls a device: CUDA counts only those of CUDA_VISIBLE_DEVICES, indices or UUIDs."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible[number] if number < len(visible) else str(number)


@functools.lru_cache
def _from_nvidia_smi(identity: str) -> tuple[str, str]:
    part = ""
    if identity.startswith("MIG-"):  # a part of a GPU, which nvidia-smi lists but takes no --id of
        identity, part = _gpu_of(identity)
    answer = _asked("--query-gpu=name,driver_version", "--format=csv,noheader", f"--id={identity}")
    name, _, driver = answer.partition("\n")[0].rpartition(",")
    return f"{name.strip() or UNKNOWN}{part}", driver.strip() or UNKNOWN


def _gpu_of(mig: str) -> tuple[str, str]:
    """The number of the GPU that a MIG device is part of, and the device's profile, such as `` MIG 1g.18gb``.

    ``nvidia-smi -L`` lists the parts below their GPU:
    https://docs.nvidia.com/datacenter/tesla/mig-user-guide/index.html#device-enumeration
    """
    number = "0"
    for line in _asked("-L").splitlines():
        if line.startswith("GPU "):
            number = line.removeprefix("GPU ").partition(":")[0].strip()
        elif mig in line:
            return number, f" {line.partition(' Device')[0].strip()}"
    return number, ""


def _asked(*arguments: str) -> str:
    command = ["nvidia-smi", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
