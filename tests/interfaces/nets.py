"""Models with inputs and outputs of every kind, each with a batch that it takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nalu_export import NALU


@dataclass(frozen=True)
class Case:
    """One model.

    Attributes:
        build: makes it.
        example: what it takes, as ``example_inputs`` says it.
        inputs: names, types and shapes of a file's inputs.
        outputs: the same of its outputs.
        options: how to export it besides.
        header: whether a C++ header holds all of it.
    """

    build: Callable[[], nn.Module]
    example: Any
    inputs: dict[str, tuple[str, list[int | str]]]
    outputs: dict[str, tuple[str, list[int | str]]]
    options: dict[str, Any] = field(default_factory=dict)
    header: bool = True


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.out = NALU(3, 4), NALU(2, 4), NALU(4, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(self.left(a) + self.right(b))  # type: ignore[no-any-return]


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 4), NALU(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids).mean(1))  # type: ignore[no-any-return]


class Numbers(nn.Module):
    """One number of each sample in each input."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALU(2, 1)

    def forward(self, price: Tensor, count: Tensor) -> Tensor:
        return self.cell(torch.stack([price, count.float()], -1)).squeeze(-1)  # type: ignore[no-any-return]


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.gate = NALU(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cell(x), torch.sigmoid(self.gate(x))


class Result(NamedTuple):
    total: Tensor
    share: Tensor


class Named(Pair):
    def forward(self, x: Tensor) -> Result:
        return Result(*super().forward(x))


class Features(nn.Module):
    """A dict goes in and a dict comes out, with an input in it, a mask, integers and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALU(3, 2)
        self.register_buffer("scale", torch.tensor([2.0, 0.5]))

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        x = torch.where(batch["known"], batch["x"], torch.ones_like(batch["x"]))
        y = self.cell(x)
        best = y.argmax(-1)
        return {
            "y": y,
            "positive": y > 0,
            "x": batch["x"],
            "best": best,
            "scale": self.scale,
            "version": 3,
            "none": None,
        }


class ImageAndVector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Conv2d(1, 3, 3, padding=1), NALU(5, 2)

    def forward(self, image: Tensor, extra: Tensor) -> Tensor:
        features = torch.relu(self.backbone(image)).mean((2, 3))
        return self.head(torch.cat([features, extra], 1))  # type: ignore[no-any-return]


class State(nn.Module):
    """One step of a recurrent cell: a nested tuple goes in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALU(4, 2)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        new = self.cell(torch.cat([x, h], -1))
        return new, (new, c + new)


class Lengths(nn.Module):
    """Sequences of different lengths; a mask may be given instead."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALU(4, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        there = torch.arange(x.shape[1])[None] < lengths[:, None]
        return self.cell((x * there.unsqueeze(-1)).sum(1))  # type: ignore[no-any-return]


def _net(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        torch.manual_seed(0)
        return build().eval()

    return made


F32, I64 = "float32", "int64"
BATCH, TIME = "batch", {"dynamic_shapes": {"x": {1: "time"}}}

CASES: dict[str, Case] = {
    "two inputs": Case(
        _net(TwoInputs),
        (torch.ones(2, 3), torch.ones(2, 2)),
        {"a": (F32, [BATCH, 3]), "b": (F32, [BATCH, 2])},
        {"output": (F32, [BATCH, 1])},
    ),
    "int input": Case(
        _net(Tokens),
        torch.tensor([[1, 2, 10], [0, 3, 3]]),
        {"input": (I64, [BATCH, 3])},
        {"output": (F32, [BATCH, 2])},
        header=False,
    ),
    "rank 1": Case(
        _net(Numbers),
        (torch.ones(2), torch.tensor([1, 2])),
        {"price": (F32, [BATCH]), "count": (I64, [BATCH])},
        {"output": (F32, [BATCH])},
    ),
    "rank 3": Case(
        _net(lambda: NALU(5, 3)),
        torch.ones(2, 4, 5),
        {"input": (F32, [BATCH, "time", 5])},
        {"output": (F32, [BATCH, "time", 3])},
        TIME,
    ),
    "tuple": Case(
        _net(Pair),
        torch.ones(2, 3),
        {"input": (F32, [BATCH, 3])},
        {"output_0": (F32, [BATCH, 2]), "output_1": (F32, [BATCH, 2])},
    ),
    "named tuple": Case(
        _net(Named),
        torch.ones(2, 3),
        {"input": (F32, [BATCH, 3])},
        {"total": (F32, [BATCH, 2]), "share": (F32, [BATCH, 2])},
    ),
    "dict": Case(
        _net(Features),
        {"batch": {"x": torch.ones(2, 3), "known": torch.ones(2, 3, dtype=torch.bool)}},
        {"x": (F32, [BATCH, 3]), "known": ("bool", [BATCH, 3])},
        {
            "y": (F32, [BATCH, 2]),
            "positive": ("bool", [BATCH, 2]),
            "x_output": (F32, [BATCH, 3]),
            "best": (I64, [BATCH]),
            "scale_output": (F32, [2]),
            "version": (I64, []),
        },
        header=False,
    ),
    "image + vector": Case(
        _net(ImageAndVector),
        (torch.ones(2, 1, 6, 8), torch.ones(2, 2)),
        {"image": (F32, [BATCH, 1, "height", "width"]), "extra": (F32, [BATCH, 2])},
        {"output": (F32, [BATCH, 2])},
        header=False,
    ),
    "state": Case(
        _net(State),
        (torch.ones(2, 2), (torch.ones(2, 2), torch.ones(2, 2))),
        {"x": (F32, [BATCH, 2]), "state_0": (F32, [BATCH, 2]), "state_1": (F32, [BATCH, 2])},
        {"output_0": (F32, [BATCH, 2]), "output_1_0": (F32, [BATCH, 2]), "output_1_1": (F32, [BATCH, 2])},
    ),
    "lengths": Case(
        _net(Lengths),
        (torch.ones(2, 6, 4), torch.tensor([3, 6])),
        {"x": (F32, [BATCH, "time", 4]), "lengths": (I64, [BATCH])},
        {"output": (F32, [BATCH, 2])},
        TIME,
        header=False,
    ),
}
