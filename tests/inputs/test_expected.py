"""nalu_export.inputs.expected: the shape of a sample, as far as a model tells."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, ArithmeticLayer, BackboneHead, InputError, NALUCell, build_head
from nalu_export.inputs.expected import DEFAULT_SIZE, LENGTH, MAX_PIXELS, sample_shape
from tests.handwritten.nets import NETS


def convolutional(pool: str | None = "avg", **options: Any) -> BackboneHead:
    backbone = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    return build_head(backbone, 3, [4], "classification", 5, pool=pool, **options).eval()


def flattened(height: int, width: int) -> nn.Sequential:
    """A plain torch model that takes one image size only."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * (height - 2) * (width - 2), 3), NAC(3, 1))


class Weighted(nn.Module):
    """``y = x Wᵀ`` or ``x W``, by hand."""

    def __init__(self, weight: Tensor, *, transposed: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.transposed = transposed

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.weight if self.transposed else self.weight.T)


@pytest.mark.parametrize(
    ("make", "size", "expected"),
    [
        (lambda: NAC(7, 2), None, (7,)),
        (lambda: NALUCell(1, 2), None, (1,)),
        (lambda: nn.Sequential(NALU(3, 2), nn.Linear(2, 1)), None, (3,)),
        (lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), NAC(3, 1)).eval(), None, (6,)),
        (lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3), NAC(3, 1)), None, (4,)),
        (convolutional, None, (2, *DEFAULT_SIZE)),
        (convolutional, (8, 24), (2, 8, 24)),
        (convolutional, [9, 7], (2, 9, 7)),
        (lambda: flattened(32, 32), None, (1, 32, 32)),
        (lambda: flattened(6, 9), (6, 9), (1, 6, 9)),
        (lambda: convolutional(None, feature_size=(3, 11)), (8, 24), (2, 8, 24)),
        (lambda: nn.Sequential(nn.Conv1d(3, 2, 3), nn.Flatten(), NAC(2 * (LENGTH - 2), 1)), None, (3, LENGTH)),
        (NETS["LSTM"].build, None, (LENGTH, 4)),
        # No layer tells: the parameters do, by their last axis and by their first.
        (lambda: Weighted(torch.ones(2, 5)), None, (5,)),
        (lambda: Weighted(torch.ones(5, 2), transposed=True), None, (5,)),
    ],
)
def test_sample_shape(make: Callable[[], nn.Module], size: Any, expected: tuple[int, ...]) -> None:
    assert sample_shape(make(), size) == expected


def test_a_layer_that_does_not_say_how_many_inputs_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArithmeticLayer, "registry", dict(ArithmeticLayer.registry))

    class Scaled(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(2.0))
            self.weight = nn.Parameter(torch.ones(5))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight * self.gain

    assert sample_shape(Scaled(), None) == (5,)


class Product(nn.Module):
    def forward(self, a: Tensor, b: Tensor, scale: float = 1.0) -> Tensor:
        return a * b * scale


# As torch.nn.Sequential calls its input.
TELL_INPUT = "say what it takes with example_inputs"
POSITIVE = "it must be an integer of at least 1"


@pytest.mark.parametrize(
    ("make", "size", "text"),
    [
        (lambda: NAC(4, 2), (8, 8), "input_size is given, but the model takes 4 features, not images"),
        (convolutional, (0, 8), f"input_size[0] is 0; {POSITIVE}"),
        (convolutional, (8, -1), f"input_size[1] is -1; {POSITIVE}"),
        (convolutional, (8, 8.0), f"input_size[1] is 8.0; {POSITIVE}"),
        (convolutional, (8,), "input_size is (8,); it must be height and width"),
        (convolutional, (8, 8, 8), "input_size is (8, 8, 8); it must be height and width"),
        (convolutional, 8, "input_size is 8; it must be height and width"),
        (convolutional, "88", "input_size is '88'; it must be height and width"),
        (
            convolutional,
            (2**13, 2**13),
            f"input_size is 8192×8192; at most {MAX_PIXELS} pixels are allowed",
        ),
        (
            convolutional,
            (1, 1),
            "the model does not run on 2×1×1 images (Calculated padded input size per channel: (1 x 1). "
            "Kernel size: (3 x 3). Kernel size can't be greater than actual input size); "
            "give another input_size=(H, W)",
        ),
        (
            lambda: flattened(6, 9),
            None,
            "the model does not run on 1×32×32 images (mat1 and mat2 shapes cannot be multiplied (2x1800 and 56x3)); "
            "give another input_size=(H, W)",
        ),
        (
            lambda: convolutional(None, feature_size=(3, 11)),
            None,
            "the model flattens a feature map of 3×11; say which image size gives it with input_size=(H, W)",
        ),
        (
            lambda: convolutional(None, feature_size=(3, 11)),
            (9, 9),
            "the model does not run on 2×9×9 images (mat1 and mat2 shapes cannot be multiplied (2x36 and 132x5)); "
            "give another input_size=(H, W)",
        ),
        (
            lambda: nn.Sequential(NAC(2, 3), nn.Linear(4, 1)),
            None,
            "Sequential does not run on 2 features (mat1 and mat2 shapes cannot be multiplied (2x3 and 4x1)); "
            + TELL_INPUT,
        ),
        (
            lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), NAC(8, 1)),
            None,
            "Sequential does not run on samples of 1×16 (mat1 and mat2 shapes cannot be multiplied (2x28 and 8x1)); "
            + TELL_INPUT,
        ),
        (
            lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), NAC(28, 1)),
            (8, 8),
            "input_size is given, but the model takes samples of 1×16, not images",
        ),
        (
            lambda: nn.Sequential(nn.ReLU()),
            None,
            "Sequential has no layer that determines the number of its inputs; " + TELL_INPUT,
        ),
        (
            lambda: nn.Sequential(nn.Embedding(9, 4), NAC(4, 1)),
            None,
            "Sequential looks its input up in an embedding; say what it takes with example_inputs",
        ),
        (
            Product,
            None,
            "Product.forward(a, b, scale=1.0) takes 2 inputs; say what they are with example_inputs",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softmax("x"), nn.Flatten(), NAC(2, 1)),  # type: ignore[arg-type]
            None,
            "the model does not run on 1×32×32 images (.*softmax.*); give another input_size=(H, W)",
        ),
    ],
)
def test_refused(make: Callable[[], nn.Module], size: Any, text: str) -> None:
    pattern = re.escape(text).replace(r"\.\*", ".*")
    with pytest.raises(InputError, match=f"^{pattern}$"):
        sample_shape(make(), size)


def test_forward_of_the_user_may_raise_anything() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = NAC(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("table")

    with pytest.raises(InputError, match=r"^Broken does not run on 2 features \('table'\); say what it takes"):
        sample_shape(Broken(), None)
