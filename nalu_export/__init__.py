"""Exports neural arithmetic layers from PyTorch, and checks that the exported file computes what the model computes.

A name is imported when it is first used, so ``import nalu_export`` does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nalu_export._version import __version__
from nalu_export.errors import (
    InputError,
    NaluExportError,
    OutOfMemoryError,
    ParityError,
    RuntimeUnavailableError,
    UnsupportedLayerError,
)

if TYPE_CHECKING:
    from nalu_export.api.artifact import Artifact
    from nalu_export.api.check import check
    from nalu_export.api.convert import convert
    from nalu_export.api.export import ExportOptions, export
    from nalu_export.api.golden import read_golden, write_golden
    from nalu_export.api.golden_files import Golden
    from nalu_export.api.inspect import inspect
    from nalu_export.checkpoints import load, save
    from nalu_export.doctor import Diagnosis, diagnose
    from nalu_export.nn import NAC, NALU, ArithmeticLayer, BackboneHead, NACCell, NALUCell, build_head
    from nalu_export.parity import Report
    from nalu_export.sweeps.result import Sweep
    from nalu_export.sweeps.sweep import sweep

_HOMES = {
    "NAC": "nn",
    "NALU": "nn",
    "ArithmeticLayer": "nn",
    "Artifact": "api.artifact",
    "BackboneHead": "nn",
    "Diagnosis": "doctor",
    "ExportOptions": "api.export",
    "Golden": "api.golden_files",
    "NACCell": "nn",
    "NALUCell": "nn",
    "Report": "parity",
    "Sweep": "sweeps.result",
    "build_head": "nn",
    "check": "api.check",
    "convert": "api.convert",
    "diagnose": "doctor",
    "export": "api.export",
    "inspect": "api.inspect",
    "load": "checkpoints",
    "read_golden": "api.golden",
    "save": "checkpoints",
    "sweep": "sweeps.sweep",
    "write_golden": "api.golden",
}

__all__ = [
    "NAC",
    "NALU",
    "ArithmeticLayer",
    "Artifact",
    "BackboneHead",
    "Diagnosis",
    "ExportOptions",
    "Golden",
    "InputError",
    "NACCell",
    "NALUCell",
    "NaluExportError",
    "OutOfMemoryError",
    "ParityError",
    "Report",
    "RuntimeUnavailableError",
    "Sweep",
    "UnsupportedLayerError",
    "__version__",
    "build_head",
    "check",
    "convert",
    "diagnose",
    "export",
    "inspect",
    "load",
    "read_golden",
    "save",
    "sweep",
    "write_golden",
]


if not TYPE_CHECKING:  # a type checker that sees a module's __getattr__ accepts every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'nalu_export' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"nalu_export.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
