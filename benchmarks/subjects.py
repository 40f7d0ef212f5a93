"""What computes a cell: the peer's paths and ours, from the same parameters."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

import nalu_export
from benchmarks.running import Run, eager, onnxruntime_cpu, torchscript
from benchmarks.silence import silence
from benchmarks.usual_nalu import UsualNALUCell, default_export
from benchmarks.witness import Parameters
from nalu_export import NALUCell

USUAL = "usual PyTorch module, float32"
DEFAULT = "default torch.onnx.export → ONNX Runtime"
UNOPTIMISED = "same with optimize=False"
FOLDED = "nalu_export, folded → ONNX Runtime"
LIVE = "nalu_export, live → ONNX Runtime"
SCRIPT = "nalu_export → TorchScript"
DOUBLE = "nalu_export, --compute float64 → ONNX Runtime"
ALL = (USUAL, DEFAULT, UNOPTIMISED, FOLDED, LIVE, SCRIPT, DOUBLE)
FLOAT32 = (FOLDED, LIVE, SCRIPT)

_Cell = TypeVar("_Cell", bound=nn.Module)

_OPTIONS: dict[str, dict[str, Any]] = {
    FOLDED: {},
    LIVE: {"weights": "live"},
    SCRIPT: {"format": "torchscript"},
    DOUBLE: {"compute": "float64"},
}


def build(parameters: Parameters, folder: Path, names: Iterable[str] = ALL) -> dict[str, Run]:
    """Export the cell to ``folder`` in each way and load it.

    Our own exports skip their check: what is measured here is the file, not whether the package lets it pass.
    """
    runs: dict[str, Run] = {}
    for number, name in enumerate(names):
        path = folder / f"{number}.{'torchscript.pt' if name == SCRIPT else 'onnx'}"
        if name == USUAL:
            runs[name] = eager(usual_cell(parameters))
        elif name in (DEFAULT, UNOPTIMISED):
            with silence():
                default_export(usual_cell(parameters), parameters.G.shape[1], path, optimize=name == DEFAULT)
            runs[name] = onnxruntime_cpu(path)
        else:
            nalu_export.export(our_cell(parameters), path, check=False, **_OPTIONS[name])
            runs[name] = torchscript(path) if name == SCRIPT else onnxruntime_cpu(path)
    return runs


def usual_cell(parameters: Parameters) -> UsualNALUCell:
    """The cell as it is usually written."""
    out_features, in_features = parameters.G.shape
    cell = UsualNALUCell(in_features, out_features, parameters.eps)
    return _filled(cell, parameters)


def our_cell(parameters: Parameters) -> NALUCell:
    """The cell of this package."""
    out_features, in_features = parameters.G.shape
    cell = NALUCell(in_features, out_features, parameters.eps)
    return _filled(cell, parameters)


def _filled(cell: _Cell, parameters: Parameters) -> _Cell:
    arrays = {"W_hat": parameters.W_hat, "M_hat": parameters.M_hat, "G": parameters.G}
    cell.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return cell.eval()
