"""Primitives that move numbers without computing."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nalu_export.primitives.record import Primitive


def expand(x: Tensor, size: Sequence[int]) -> Tensor:
    """Repeat ``x`` along axes of size 1; −1 keeps the size of an axis."""
    return x.expand(*size)


def slice_(x: Tensor, dim: int, start: int | None, end: int | None, step: int) -> Tensor:
    """Return ``x[start:end:step]`` along one axis."""
    index: list[slice] = [slice(None)] * x.ndim
    index[dim] = slice(start, end, step)
    return x[tuple(index)]


def _shape(function: Callable[..., Any], *parameters: str, names: tuple[str, ...] = (), **defaults: Any) -> Primitive:
    name = function.__name__.rstrip("_")
    return Primitive(name, function, (*parameters, *defaults), defaults, names=(name, *names), kind="shape")


PRIMITIVES = (
    _shape(torch.reshape, "input", "shape", names=("view", "_unsafe_view")),
    _shape(torch.flatten, "input", start_dim=0, end_dim=-1),
    _shape(torch.transpose, "input", "dim0", "dim1", names=("swapaxes", "swapdims")),
    _shape(torch.permute, "input", "dims"),
    _shape(torch.squeeze, "input", "dim"),
    _shape(torch.unsqueeze, "input", "dim"),
    _shape(expand, "input", "size"),
    _shape(torch.cat, "tensors", names=("concat", "concatenate"), dim=0),
    _shape(torch.stack, "tensors", dim=0),
    _shape(slice_, "input", dim=0, start=None, end=None, step=1),
    _shape(torch.select, "input", "dim", "index"),
)
