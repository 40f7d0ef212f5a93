"""Versions of the software that takes part in a check, for its report."""

import platform
from importlib import metadata

import torch

from nalu_export._version import __version__

PACKAGES = ("onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "tract", "numpy")


def environment() -> dict[str, str]:
    """Return versions by name: of this package, Python, the platform, torch, and the installed ones of ``PACKAGES``."""
    found = {
        "nalu_export": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(aliased=True),
        # The version of torch's distribution lacks the build, +cpu or +cu130.
        "torch": torch.__version__,
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
