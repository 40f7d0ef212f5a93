"""Strips of real handwritten digits, and the sum of the digits in each.

The digits are the 1797 images of 8×8 pixels that scikit-learn ships (Alpaydin and Kaynak, Optical Recognition of
Handwritten Digits, UCI 1998), scaled to 0..1. Every fifth of a seeded shuffle is held out: training never sees it.
"""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Generator, Tensor

SIDE = 8


@dataclass(frozen=True)
class Digits:
    """Images ``(N, 1, 8, 8)`` in 0..1 and the digit in each, ``(N,)``."""

    images: Tensor
    labels: Tensor

    def strips(self, count: int, length: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """``count`` strips of ``length`` random digits side by side, ``(count, 1, 8, 8·length)``, and their sums."""
        chosen = torch.randint(len(self.labels), (count, length), generator=generator)
        return side_by_side(self.images[chosen]), self.labels[chosen].sum(dim=1)


def split() -> tuple[Digits, Digits]:
    """The digits to train on and those held out."""
    found = load_digits()
    images = torch.tensor(found.images / 16.0, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(found.target)
    order = torch.randperm(len(labels), generator=Generator().manual_seed(0))
    held_out = torch.arange(len(order)) % 5 == 0
    return (
        Digits(images[order[~held_out]], labels[order[~held_out]]),
        Digits(images[order[held_out]], labels[order[held_out]]),
    )


def side_by_side(images: Tensor) -> Tensor:
    """``(count, length, 1, 8, 8)`` → ``(count, 1, 8, 8·length)``."""
    count, length = images.shape[:2]
    return images.permute(0, 2, 3, 1, 4).reshape(count, 1, SIDE, SIDE * length)
