"""Samples of all inputs of a model together."""

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
    """One array for each input, the samples first.

    Attributes:
        arrays: in the order of the model's inputs; floats are float32.
    """

    arrays: tuple[Array, ...]

    @staticmethod
    def of(*arrays: Array) -> "Batch":
        """From its arrays."""
        return Batch(arrays)

    @staticmethod
    def joined(batches: Sequence["Batch"]) -> "Batch":
        """Batches of the same shapes one after the other."""
        if len(batches) == 1:
            return batches[0]
        return Batch(tuple(np.concatenate(arrays) for arrays in zip(*(b.arrays for b in batches), strict=True)))

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, rows: Rows) -> "Batch":
        return Batch(tuple(array[rows] for array in self.arrays))

    def __iter__(self) -> Iterator["Batch"]:
        """Each sample as a batch of one."""
        return (self[row : row + 1] for row in range(len(self)))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape of one sample of each input."""
        return tuple(array.shape[1:] for array in self.arrays)

    @property
    def numbers(self) -> int:
        """How many there are in all inputs."""
        return sum(array.size for array in self.arrays)

    def repeated(self, count: int) -> "Batch":
        """Each sample so many times."""
        return Batch(tuple(np.repeat(array, count, axis=0) for array in self.arrays))

    def copy(self) -> "Batch":
        """The same numbers elsewhere, so that what this is a part of is not kept."""
        return Batch(tuple(array.copy() for array in self.arrays))

    def split(self, sizes: Sequence[int]) -> list["Batch"]:
        """Batches that end before these places, without the empty ones."""
        edges = [0, *sizes, len(self)]
        return [self[a:b] for a, b in itertools.pairwise(edges) if a < min(b, len(self))]

    def tensors(self, *, double: bool = False) -> list[Tensor]:
        """The same for torch; floats in float64 where asked for."""
        found = [torch.from_numpy(array) for array in self.arrays]
        return [x.double() if double and x.is_floating_point() else x for x in found]

    def magnitude(self) -> NDArray[np.float64]:
        """For each sample the largest ``|x|`` of all its numbers."""
        parts = [np.abs(x.reshape(len(x), -1).astype(np.float64)).max(axis=1, initial=0.0) for x in self.arrays]
        found: NDArray[np.float64] = np.max(parts, axis=0)
        return found
