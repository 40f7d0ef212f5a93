"""nalu_export.nn.parts: the cells in a model."""

import torch
from torch import Tensor, nn

from nalu_export import NALU, ArithmeticLayer, NACCell
from nalu_export.nn.parts import arithmetic_layers


def test_the_cells_of_a_stack_are_found_by_path(nalu: NALU) -> None:
    assert list(arithmetic_layers(nalu)) == ["layers.0", "layers.1"]
    model = nn.Sequential(nn.Linear(2, 3), NALU(3, 2), nn.ReLU(), NACCell(2, 1))
    assert list(arithmetic_layers(model)) == ["1.layers.0", "3"]


def test_a_layer_without_parameters_is_none() -> None:
    class Bare(ArithmeticLayer):
        def forward(self, x: Tensor) -> Tensor:
            return torch.abs(x)

    assert arithmetic_layers(nn.Sequential(Bare(), nn.Linear(2, 1))) == {}
