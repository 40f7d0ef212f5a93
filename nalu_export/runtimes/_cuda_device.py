"""Facts about the CUDA device that computes: its name, its driver, and what the environment sets for it."""

import functools
import os
import subprocess

import torch

UNKNOWN = "unknown"
#: NVIDIA's libraries read this variable before every setting of a program; 0 switches TF32 off
#: (https://docs.nvidia.com/deeplearning/frameworks/tensorflow-user-guide/index.html#tf32-toggle).
OVERRIDE = "NVIDIA_TF32_OVERRIDE"


def device_facts(number: int = 0) -> dict[str, str]:
    """Return ``device``, the name of a CUDA device, and ``driver``, the version of NVIDIA's driver.

    They come from ``nvidia-smi``, which belongs to the driver and is called once in a process. If torch sees the
    device, the name comes from torch, which counts devices as CUDA does. A fact that cannot be found is ``unknown``.

    Args:
        number: number of the device, as CUDA counts visible devices.
    """
    name, driver = _from_nvidia_smi(_identity(number))
    if torch.cuda.is_available() and number < torch.cuda.device_count():
        name = torch.cuda.get_device_name(number)
    return {"device": name, "driver": driver}


def tf32_state(on: bool) -> tuple[str, dict[str, str]]:
    """Return ``on`` or ``off`` with the environment's override if it is set, and that override as an option."""
    said, override = "on" if on else "off", os.environ.get(OVERRIDE)
    return (said, {}) if override is None else (f"{said}, {OVERRIDE}={override}", {OVERRIDE: override})


def _identity(number: int) -> str:
    """Return the index or UUID of a device: CUDA counts only the devices in CUDA_VISIBLE_DEVICES."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible[number] if number < len(visible) else str(number)


@functools.lru_cache
def _from_nvidia_smi(identity: str) -> tuple[str, str]:
    part = ""
    if identity.startswith("MIG-"):  # a part of a GPU; nvidia-smi lists it but rejects its --id
        found = _gpu_of(identity)
        if found is None:
            # All GPUs of a machine have one driver.
            driver = _asked("--query-gpu=driver_version", "--format=csv,noheader").partition("\n")[0]
            return UNKNOWN, driver.strip() or UNKNOWN
        identity, part = found
    answer = _asked("--query-gpu=name,driver_version", "--format=csv,noheader", f"--id={identity}")
    name, _, driver = answer.partition("\n")[0].rpartition(",")
    return f"{name.strip() or UNKNOWN}{part}", driver.strip() or UNKNOWN


def _gpu_of(mig: str) -> tuple[str, str] | None:
    """Return the number of the GPU that holds a MIG device, and the device's profile, such as `` MIG 1g.18gb``.

    ``nvidia-smi -L`` lists MIG devices below their GPU:
    https://docs.nvidia.com/datacenter/tesla/mig-user-guide/index.html#device-enumeration

    Args:
        mig: the UUID of the device, or the start of it.

    Returns:
        ``None`` if no device, or more than one, has such a UUID.
    """
    number, found = "", []
    for line in _asked("-L").splitlines():
        if line.startswith("GPU "):
            number = line.removeprefix("GPU ").partition(":")[0].strip()
        elif f"(UUID: {mig}" in line:
            found.append((number, f" {line.partition(' Device')[0].strip()}"))
    return found[0] if len(found) == 1 else None


def _asked(*arguments: str) -> str:
    command = ["nvidia-smi", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
