"""The models that the probe asks about: every kind of layer, and backbones whose image size is free."""

from functools import partial
from itertools import product

from torch import Tensor, nn

from benchmarks.cuda_parity import Subject, cnn
from nalu_export import NALU, build_head
from nalu_export.nn import ClampedNALUCell, NACCell, NACExactCell, SinhNALUCell

IMAGE = (1, 12, 12)


class Flattened(nn.Module):
    """Convolution → adaptive pooling → one of the ways to flatten → NALU.

    Args:
        pool: side of what is pooled to.
        view: by ``view(x.size(0), -1)`` instead of ``flatten(1)``.
    """

    def __init__(self, pool: int, *, view: bool = False) -> None:
        super().__init__()
        self.convolution, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.AdaptiveAvgPool2d(pool)
        self.head = NALU(4 * pool * pool, 2)
        self.by_view = view

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, H, W)`` → ``(N, 2)``."""
        x = self.pool(self.convolution(x).relu())
        y: Tensor = self.head(x.view(x.size(0), -1) if self.by_view else x.flatten(1))
        return y


class Rows(nn.Module):
    """A shape that is computed from that of the input: ``view(x.size(0), 4, -1)``, with two free axes in the ``-1``."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(1, 4, 3, padding=1), NALU(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, H, W)`` → ``(N, 2)``."""
        x = self.convolution(x).relu()
        y: Tensor = self.head(x.view(x.size(0), 4, -1).mean(2))
        return y


def unpooled() -> nn.Module:
    """``build_head(pool=None)`` behind a backbone that pools to a fixed size."""
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
    return build_head(backbone, 4, [6], "classification", 3, pool=None, feature_size=(2, 2))


def layers(*, quick: bool) -> list[Subject]:
    """One of each kind of layer; the operators of a file do not depend on its sizes."""
    if quick:
        return [Subject("NALU [4, 5, 2]", partial(NALU, 4, 5, 2), (4,))]
    found = [
        Subject("NAC cell 8 → 4", partial(NACCell, 8, 4), (8,)),
        Subject("exact NAC cell 8 → 4", partial(NACExactCell, 8, 4), (8,)),
        Subject("clamped NALU cell 4 → 3", partial(ClampedNALUCell, 4, 3), (4,)),
        Subject("sinh NALU cell 4 → 3", partial(SinhNALUCell, 4, 3), (4,)),
    ]
    for tied, gate in product((True, False), ("matrix", "row")):
        name = f"NALU [4, 5, 2], {'tied' if tied else 'untied'}, {gate} gate"
        found.append(Subject(name, partial(NALU, 4, 5, 2, tied=tied, gate=gate), (4,)))
    return found


def backbones(*, quick: bool) -> list[Subject]:
    """CNNs that take images of any size."""
    found = [
        Subject("CNN, flatten(1)", partial(Flattened, 1), IMAGE),
        Subject("CNN, view(x.size(0), -1)", partial(Flattened, 1, view=True), IMAGE),
        Subject("CNN, view(x.size(0), 4, -1)", Rows, IMAGE),
        Subject("CNN, AdaptiveAvgPool2d(2)", partial(Flattened, 2), IMAGE),
        Subject("CNN, build_head(pool=None)", unpooled, IMAGE),
        Subject("CNN, build_head(pool='avg')", cnn, IMAGE),
    ]
    return found[:1] if quick else found
