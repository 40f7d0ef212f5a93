"""Models that take or give several tensors, or integers."""

import torch
from torch import Tensor, nn

from nalu_export import NALU
from tests.handwritten.refused import REFUSED
from tests.handwritten.training import network


class TwoOutputs(nn.Module):
    """``(sum(x), product(x))``."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = NALU(4, 2), NALU(4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(x), self.second(x)


class DictOutput(TwoOutputs):
    """``{"first": …, "second": …}``."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"first": self.first(x), "second": self.second(x)}


# Each with inputs that it runs on, and names of its outputs.
SEVERAL = {
    "two inputs": (REFUSED["two inputs"].build, REFUSED["two inputs"].inputs(), ["output"]),
    "two outputs": (network(TwoOutputs), (torch.zeros(1, 4),), ["output_0", "output_1"]),
    "a dict of outputs": (network(DictOutput), (torch.zeros(1, 4),), ["first", "second"]),
    "integers": (REFUSED["integers"].build, REFUSED["integers"].inputs(), ["output"]),
}
