"""Writes a state_dict, loads it, and holds the model to a formula."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nalu_export.checkpoints import Checkpoint, read_checkpoint
from tests.checkpoints.files import torch_bytes
from tests.checkpoints.layouts.arithmetic import Value

RELATIVE = 1e-12
# Below this float64 has too few bits left, or none, for what a formula multiplies to get there.
_UNDERFLOW = float(np.finfo(np.float64).tiny) / RELATIVE


def inputs(rng: np.random.Generator, features: int) -> npt.NDArray[np.float64]:
    """Rows of every kind: ordinary, negative, zeros alone and among others, ones, tiny, around each ε, large."""
    x = rng.uniform(-5.0, 5.0, (16, features))
    x[1] = -np.abs(x[1])
    x[2] = 0.0
    x[3, 0] = 0.0
    x[4] = 1.0
    x[5] = -1.0
    for row, magnitude in enumerate((1e-300, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-3, 1e2, 1e3), 6):
        x[row] *= magnitude
    return x


def written(state: dict[str, Tensor], folder: Path) -> Path:
    """The file that torch.save makes of a state_dict."""
    path = folder / "model.pt"
    path.write_bytes(torch_bytes(state))
    return path


def opened(state: dict[str, Tensor], folder: Path, **options: Any) -> Checkpoint:
    """A state_dict, through a file."""
    return read_checkpoint(written(state, folder), **options)


def outputs(model: nn.Module, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What the model gives in float64; the model that was loaded stays as it is."""
    with torch.no_grad():
        found: npt.NDArray[np.float64] = copy.deepcopy(model).double()(torch.from_numpy(x)).numpy()
    return found


def worst(found: npt.NDArray[np.float64], reference: Value) -> float:
    """The largest error in units of the size of the terms; infinite where the shapes or a finite value differ."""
    if found.shape != reference.value.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.max(np.abs(found - reference.value) / (reference.size + _UNDERFLOW)))
