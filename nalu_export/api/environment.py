"""Versions of what takes part in a check, for its report."""

import platform
from importlib import metadata

import torch

from nalu_export._version import __version__

PACKAGES = ("onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "tract", "numpy")


def environment() -> dict[str, str]:
    """Name and version, without those packages that are not installed."""
    found = {
        "nalu_export": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(aliased=True),
        # Not the distribution's version, which leaves out the build, +cpu or +cu130.
        "torch": torch.__version__,
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
