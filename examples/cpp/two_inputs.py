"""A model of two inputs and two outputs, written with plain torch. ``python two_inputs.py FILE`` writes its weights."""

import sys
from typing import NamedTuple

import torch
from torch import Tensor, nn

ITEMS = 3


class Sums(NamedTuple):
    """What the model gives; the fields are the names of the outputs."""

    total: Tensor
    largest: Tensor


class Invoice(nn.Module):
    """Prices times quantities by a NALU cell: what all items cost, and what the dearest costs."""

    def __init__(self) -> None:
        super().__init__()
        self.W_hat, self.M_hat, self.G = (nn.Parameter(torch.empty(ITEMS, 2 * ITEMS)) for _ in range(3))

    def forward(self, prices: Tensor, quantities: Tensor) -> Sums:
        """Both are (batch, 3), each output is (batch,)."""
        x = torch.cat([prices, quantities], dim=1)
        W = torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)
        g = torch.sigmoid(x @ self.G.T)
        costs = g * (x @ W.T) + (1 - g) * torch.exp(torch.log(torch.abs(x) + 1e-7) @ W.T)
        total = costs.sum(dim=1)
        largest = costs.amax(dim=1)
        return Sums(total, largest)


def build() -> Invoice:
    """The model with weights as after a training: nearly 0 and 1, and a gate that chooses the product."""
    generator = torch.Generator().manual_seed(0)
    model = Invoice()
    item = torch.eye(ITEMS).repeat(1, 2)
    with torch.no_grad():
        for weight, mean in ((model.W_hat, 6 * item), (model.M_hat, 12 * item - 6), (model.G, -16 * item)):
            weight.copy_(torch.normal(mean, 0.1, generator=generator))
    return model


if __name__ == "__main__":
    torch.save(build().state_dict(), sys.argv[1])
