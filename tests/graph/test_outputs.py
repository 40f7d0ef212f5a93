"""nalu_export.graph.outputs: what a model gives, and which of its axes go with what goes in."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export.errors import InputError, UnsupportedLayerError
from nalu_export.graph import Example, Port
from nalu_export.graph.interface import BATCH, positional
from nalu_export.graph.outputs import outputs_of


class Given(nn.Module):
    """Gives what a function makes of its input."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("kept", torch.ones(3))

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def found(function: Any, shape: tuple[Any, ...] = (BATCH, 4), size: int = 4) -> list[tuple[str, tuple[Any, ...]]]:
    x = torch.rand(3, *(size if isinstance(axis, str) else axis for axis in shape[1:]))
    example = Example((x,), (Port("x", "x", x.dtype, shape),), positional(1))
    return [(port.name, port.shape) for port in outputs_of(Given(function), example)]


@pytest.mark.parametrize(
    ("function", "outputs"),
    [
        (lambda m, x: x, [("output", (BATCH, 4))]),
        # As many numbers as samples, and as many as a parameter has.
        (lambda m, x: x[:, :3], [("output", (BATCH, 3))]),
        (lambda m, x: (x.sum(1), m.kept, 2.5, None), [("output_0", (BATCH,)), ("output_1", (3,)), ("output_2", ())]),
        (lambda m, x: {"x": x, "kept": m.kept}, [("x_output", (BATCH, 4)), ("kept_output", (3,))]),
    ],
)
def test_the_samples_are_told_from_other_axes(function: Any, outputs: list[tuple[str, tuple[Any, ...]]]) -> None:
    assert found(function) == outputs


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda m, x: x * 2, (BATCH, "time", 4)),
        (lambda m, x: x.sum(1), (BATCH, 4)),
        (lambda m, x: x.transpose(1, 2), (BATCH, 4, "time")),
        (lambda m, x: x[:, 1:], (BATCH, "output_1", 4)),
        # Only even lengths are taken.
        (lambda m, x: x.reshape(len(x), -1, 2, 4).sum(2), (BATCH, "output_1", 4)),
    ],
)
def test_free_axes_are_named(function: Any, shape: tuple[Any, ...]) -> None:
    assert found(function, (BATCH, "time", 4)) == [("output", shape)]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda m, x: x.sum(), r"returns a tensor of shape \(\) for 3 samples; the first axis of the result has to be"),
        (lambda m, x: (x, x.T), r"returns a tensor of shape \(4, 3\) for 3 samples at \[1\]; the first axis"),
        (lambda m, x: None, "returns no tensor; only models that return tensors can be exported"),
        (lambda m, x: {"y": "text"}, r"returns a str at \['y'\]; only models that return tensors can be exported"),
        (lambda m, x: torch.complex(x, x), "returns complex64; only models that return dense real tensors"),
    ],
)
def test_anything_else_is_refused(function: Any, text: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=text):
        found(function)


def test_names_that_the_user_gives() -> None:
    x = torch.rand(3, 4)
    port = Port("x", "x", x.dtype, (BATCH, 4))
    example = Example((x,), (port,), positional(1), ["p", "q"])
    assert [each.name for each in outputs_of(Given(lambda m, x: (x, x)), example)] == ["p", "q"]
    with pytest.raises(InputError, match=r"^output_names has 2 names; Given has 1 output$"):
        outputs_of(Given(lambda m, x: x), example)
