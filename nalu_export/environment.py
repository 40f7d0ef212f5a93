"""Versions of what takes part in a check, for its report."""

import platform
from importlib import metadata

import torch

import nalu_export

PACKAGES = ("torch", "onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "tract", "numpy")


def environment() -> dict[str, str]:
    """Name and version, without those packages that are not installed."""
    found = {"nalu_export": nalu_export.__version__, "python": platform.python_version()}
    found["platform"] = platform.platform(aliased=True)
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    # The distribution's version leaves out the build, +cpu or +cu130.
    found["torch"] = torch.__version__
    return found
