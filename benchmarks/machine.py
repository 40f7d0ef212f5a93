"""Where the figures were measured."""

import importlib.metadata
import os
import platform
from datetime import date
from pathlib import Path

PACKAGES = ("nalu_export", "torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy")


def describe() -> list[tuple[str, str]]:
    """Processor, cores, versions and date, each with its name."""
    return [
        ("CPU", f"{_processor()}, {_cores()} cores available"),
        ("system", f"{platform.system()}, {platform.machine()}"),
        ("python", platform.python_version()),
        *((name, version) for name in PACKAGES if (version := _version(name))),
        ("date", date.today().isoformat()),
    ]


def _processor() -> str:
    """The model name, without what virtual machines leave open."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
