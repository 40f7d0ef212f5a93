"""graph.around: what stands before and after an arithmetic part."""

import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, build_head
from nalu_export.graph import Around, around


def test_a_head_behind_a_backbone() -> None:
    model = build_head(nn.Sequential(nn.Conv2d(1, 4, 3)), 4, [8], "classification", 3, pool="sum")
    assert around(model, "head") == Around(
        ("backbone", "reduce", "sum(dim=(2, 3))", "flatten(1)"), ("log_softmax(dim=1)",)
    )


def test_nothing_is_around_the_whole() -> None:
    assert around(NALU(2, 3, 1), "") == Around()


def test_another_part_is_named_once_and_a_side_branch_not_at_all() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.other = NALU(3, 2), NAC(2, 1), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.second(self.first(x * 2.0)).relu()
            return torch.cat([y, self.other(x)], 1)

    found = around(Branches(), "second")
    assert found == Around(("mul(2.0)", "first"), ("relu", "cat(1)"))
    assert around(Branches(), "first") == Around(("mul(2.0)",), ("second", "relu", "cat(1)"))


def test_what_cannot_be_traced_is_not_known() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = NAC(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.head(x if x.sum() > 0 else -x)
            return y

    assert around(Branching(), "head") == Around(known=False)
