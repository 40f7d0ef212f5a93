"""A batch of samples of all inputs of a model."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nalu_export.graph.interface import Shape

Array = NDArray[np.generic]
Rows = slice | NDArray[np.integer] | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Batch:
    """One array for each input, with the samples along the first axis.

    Attributes:
        arrays: in the order of the model's inputs; floats are float32.
    """

    arrays: tuple[Array, ...]

    @staticmethod
    def of(*arrays: Array) -> "Batch":
        """Return a batch of these arrays."""
        return Batch(arrays)

    @staticmethod
    def joined(batches: Sequence["Batch"]) -> "Batch":
        """Concatenate batches of the same shapes."""
        if len(batches) == 1:
            return batches[0]
        return Batch(tuple(np.concatenate(arrays) for arrays in zip(*(b.arrays for b in batches), strict=True)))

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, rows: Rows) -> "Batch":
        return Batch(tuple(array[rows] for array in self.arrays))

    def __iter__(self) -> Iterator["Batch"]:
        """Yield each sample as a batch of one."""
        return (self[row : row + 1] for row in range(len(self)))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape of one sample of each input."""
        return tuple(array.shape[1:] for array in self.arrays)

    @property
    def numbers(self) -> int:
        """How many numbers all inputs hold."""
        return sum(array.size for array in self.arrays)

    def repeated(self, count: int) -> "Batch":
        """Repeat each sample ``count`` times."""
        return Batch(tuple(np.repeat(array, count, axis=0) for array in self.arrays))

    def copy(self) -> "Batch":
        """Copy the arrays, so that the larger batch of which these are views can be freed."""
        return Batch(tuple(array.copy() for array in self.arrays))

    def split(self, sizes: Sequence[int]) -> list["Batch"]:
        """Split before each of these rows, without the empty batches."""
        edges = [0, *sizes, len(self)]
        return [self[a:b] for a, b in itertools.pairwise(edges) if a < min(b, len(self))]

    def tensors(self, *, double: bool = False) -> list[Tensor]:
        """Return the arrays as tensors; floats as float64 if ``double``."""
        found = [torch.from_numpy(array) for array in self.arrays]
        return [x.double() if double and x.is_floating_point() else x for x in found]

    def magnitude(self) -> NDArray[np.float64]:
        """Return the largest ``|x|`` of each sample over all inputs."""
        parts = [np.abs(x.reshape(len(x), -1).astype(np.float64)).max(axis=1, initial=0.0) for x in self.arrays]
        found: NDArray[np.float64] = np.max(parts, axis=0)
        return found
