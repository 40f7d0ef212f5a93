"""Strips of real handwritten digits, and the sum of the digits in each.

The digits are the 1797 images of 8×8 pixels that scikit-learn ships (Alpaydin and Kaynak, Optical Recognition of
Handwritten Digits, UCI 1998), scaled to 0..1. A fixed fifth of them is held out: training never sees it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Generator, Tensor

SIDE = 8
HELD_OUT = 360


@dataclass(frozen=True)
class Digits:
    """Images ``(N, 1, 8, 8)`` in 0..1 and the digit in each, ``(N,)``."""

    images: Tensor
    labels: Tensor

    def choose(self, count: int, length: int, generator: Generator) -> Tensor:
        """Indices of the digits of ``count`` strips, ``(count, length)``.

        They run through shuffles of all digits, one after the other, so that every digit is used equally often.
        """
        needed = count * length
        passes = -(-needed // len(self.labels))
        shuffled = [torch.randperm(len(self.labels), generator=generator) for _ in range(passes)]
        return torch.cat(shuffled)[:needed].reshape(count, length)

    def strips(self, count: int, length: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """``count`` strips of ``length`` digits, ``(count, 1, 8, 8·length)``, and their sums ``(count,)``."""
        chosen = self.choose(count, length, generator)
        return side_by_side(self.images[chosen]), self.labels[chosen].sum(dim=1)


def split() -> tuple[Digits, Digits]:
    """The digits to train on and those held out."""
    found = load_digits()
    images = torch.tensor(found.images / 16.0, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(found.target)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    held_out, training = order[:HELD_OUT], order[HELD_OUT:]
    return Digits(images[training], labels[training]), Digits(images[held_out], labels[held_out])


def side_by_side(images: Tensor) -> Tensor:
    """``(count, length, 1, 8, 8)`` → ``(count, 1, 8, 8·length)``."""
    count, length = images.shape[:2]
    return images.permute(0, 2, 3, 1, 4).reshape(count, 1, SIDE, SIDE * length)
