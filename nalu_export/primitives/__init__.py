"""The primitives that arithmetic is written with: one record each, read by capture, formats and error analysis."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.primitives import (
    activations,
    arithmetic,
    casts,
    conditions,
    exponentials,
    powers,
    products,
    reductions,
    rounding,
    selection,
    shapes,
    trigonometric,
)
from nalu_export.primitives.casts import cast
from nalu_export.primitives.compositions import COMPOSITIONS, Composition
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.record import Primitive

__all__ = [
    "BY_FUNCTION",
    "BY_METHOD",
    "BY_NAME",
    "COMPOSITIONS",
    "PRIMITIVES",
    "Composition",
    "Conditioned",
    "Primitive",
    "activations",
    "cast",
]

_FILES = (
    products,
    arithmetic,
    exponentials,
    powers,
    trigonometric,
    rounding,
    selection,
    conditions,
    reductions,
    shapes,
    casts,
)

PRIMITIVES: dict[str, Primitive] = {primitive.name: primitive for file in _FILES for primitive in file.PRIMITIVES}
"""Every primitive under its own name."""

BY_NAME: dict[str, Primitive] = {name: primitive for primitive in PRIMITIVES.values() for name in primitive.names}
"""Every primitive under each of its names in torch."""

# What graph.trace brings to primitives outside of arithmetic layers too, where others are opaque calls.
_TRACED = (
    *("linear", "add", "sub", "mul", "div", "neg", "abs", "sign", "log", "exp", "tanh", "sigmoid", "sinh", "asinh"),
    *("cos", "clamp", "prod", "unsqueeze", "cast"),
)
_NAMES = {name: primitive for name, primitive in BY_NAME.items() if primitive.name in _TRACED}
BY_FUNCTION: dict[Callable[..., Any], Primitive] = {
    function: primitive
    for name, primitive in _NAMES.items()
    for function in (getattr(place, name, None) for place in (torch, F, operator))
    if callable(function)
} | {PRIMITIVES[name].function: PRIMITIVES[name] for name in _TRACED}
BY_METHOD: dict[str, Primitive] = {
    name: primitive for name, primitive in _NAMES.items() if callable(getattr(Tensor, name, None))
}
