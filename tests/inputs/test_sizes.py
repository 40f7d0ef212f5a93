"""nalu_export.inputs.sizes: other sizes of free axes, on which a model itself runs."""

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, NALUCell
from nalu_export.graph import ModelGraph, capture
from nalu_export.inputs.example import example_of_given
from nalu_export.inputs.sizes import (
    base_of,
    constraint,
    read_axes,
    runs_with,
    steps,
    sweep,
    with_axes,
    with_captured_axes,
)
from tests.captured import graph_of
from tests.handwritten.nets import NETS
from tests.inputs.test_expected import convolutional, flattened

IMAGE = ("height", "width")


def _images(model: nn.Module, *shape: int) -> ModelGraph:
    return graph_of(model, shape)


@pytest.mark.parametrize(("shape", "expected"), [((1, 6, 9), True), ((1, 6, 8), False), ((2, 6, 9), False)])
def test_runs(shape: tuple[int, ...], expected: bool) -> None:
    assert runs_with(_images(flattened(6, 9), 1, 6, 9), (shape,)) is expected


def test_running_leaves_no_gradient() -> None:
    model = NALU(3, 1)
    graph = graph_of(model)
    assert runs_with(graph, ((3,),))
    assert not runs_with(graph, ((4,),))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_sweep_takes_other_sizes() -> None:
    assert sweep(_images(convolutional(), 2, 8, 24)) == [
        ((2, 8, 24),),
        ((2, 9, 27),),
        ((2, 16, 24),),
        ((2, 8, 49),),
        ((2, 4, 16),),
    ]


def test_steps_are_found_and_swept() -> None:
    """The U-Net halves twice and joins what it doubles, so its sizes are multiples of 4."""
    unet = _images(NETS["U-Net"].build(), 1, 16, 16)
    assert steps(unet, IMAGE) == {"height": 4, "width": 4}
    # 33 columns are pooled to 16, as 32 are.
    assert [shape for (shape,) in sweep(unet)] == [(1, 16, 16), (1, 20, 28), (1, 32, 16), (1, 16, 33), (1, 16, 36)]
    assert constraint(unet, steps(unet, IMAGE)) == "height a multiple of 4 and width a multiple of 4"
    for graph, step in (
        (_images(convolutional(), 2, 8, 24), 1),
        (_images(flattened(6, 9), 1, 6, 9), 0),
        (_images(NETS["ViT"].build(), 1, 16, 16), 0),
    ):
        assert steps(graph, IMAGE) == {"height": step, "width": step}
        assert constraint(graph, steps(graph, IMAGE)) == (
            "" if step else "height {} and width {}".format(*graph.sizes[0][1:])
        )


def test_sweep_leaves_out_what_the_model_does_not_take() -> None:
    assert sweep(_images(flattened(6, 9), 1, 6, 9)) == [((1, 6, 9),)]
    assert ((2, 2, 2),) not in sweep(_images(convolutional(), 2, 4, 4))


def test_sweep_repeats_no_size() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NAC(2, 1))
    sizes = sweep(_images(model, 1, 1, 1))
    assert len(set(sizes)) == len(sizes) == 4
    assert sizes[0] == ((1, 1, 1),)


class _Attended(nn.Module):
    """Two sequences of one length and a third of another."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALUCell(3, 2)

    def forward(self, x: Tensor, mask: Tensor, other: Tensor) -> Tensor:
        weighted = (x * mask.unsqueeze(-1)).mean(1) + other.mean(1)
        y: Tensor = self.cell(weighted)
        return y


def _attended(time: int = 4, steps_of_other: int = 6) -> ModelGraph:
    given = (torch.rand(2, time, 3), torch.rand(2, time) > 0.5, torch.rand(2, steps_of_other, 3))
    free = {"x": {1: "time"}, "mask": {1: "time"}, "other": {1: "steps"}}
    model = _Attended().eval()
    return capture(model, example_of_given(model, given, free))


def test_an_axis_of_several_inputs_has_one_size() -> None:
    graph = _attended()
    assert base_of(graph) == {"time": 4, "steps": 6}
    assert with_axes(graph, {"time": 7}) == ((7, 3), (7,), (6, 3))
    assert read_axes(graph, ((7, 3), (7,), (6, 3))) == {"time": 7, "steps": 6}
    assert steps(graph, ["time", "steps"]) == {"time": 1, "steps": 1}
    found = sweep(graph)
    assert found[0] == graph.sizes
    assert {first[0] for first, *_ in found} > {4}
    assert all(first[0] == second[0] for first, second, _ in found)
    assert all(third == (6, 3) for _, _, third in sweep(graph, steps(graph, ["time"])))


class _Unrolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = NALUCell(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x[:, 0]
        for step in range(1, x.shape[1]):
            h = self.cell(h + x[:, step])
        return h


class _Rooted(nn.Module):
    """The size is a number in the captured graph, whose root of it gives NaN at any longer one."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALUCell(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.cell(x.sum(1) + torch.sqrt(int(x.shape[1]) - torch.ones_like(x).sum(1)))
        return found


def test_an_axis_at_which_the_captured_graph_gives_nan_is_fixed() -> None:
    model = _Rooted().eval()
    graph = capture(model, example_of_given(model, torch.rand(2, 4, 3), {"x": {1: "time"}}))
    fixed, notes = with_captured_axes(graph)
    assert fixed.interface.free == ()
    assert notes[0].startswith("time is fixed at 4: forward loops over it or uses its size as a number")


def test_an_axis_that_a_loop_is_over_is_fixed_and_said() -> None:
    model = _Unrolled().eval()
    graph = capture(model, example_of_given(model, torch.rand(2, 4, 3), {"x": {1: "time"}}))
    assert graph.interface.free == ("time",)
    fixed, notes = with_captured_axes(graph)
    assert fixed.interface.free == ()
    assert [port.shape for port in fixed.interface.inputs] == [("batch", 4, 3)]
    (note,) = notes
    assert note.startswith("time is fixed at 4: forward loops over it or uses its size as a number")
    free = _attended()
    same, notes = with_captured_axes(free)
    assert (same.interface, notes) == (free.interface, ())
