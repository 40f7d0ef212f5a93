"""Positions in a tensor."""

import torch
from torch import Tensor


def place_of(values: Tensor) -> tuple[int, ...]:
    """Return the index of a largest value."""
    return tuple(int(index) for index in torch.unravel_index(values.argmax(), values.shape))


def first_of(mask: Tensor) -> tuple[int, ...]:
    """Return the index of the first true value, row by row."""
    return tuple(int(index) for index in mask.nonzero()[0])
