"""nalu_export.nn.parts: what is arithmetic in a model, found and replaced."""

import torch
from torch import nn

from nalu_export import NALU, BackboneHead, NACCell
from nalu_export.nn.parts import arithmetic_layers, arithmetic_parts, is_arithmetic, replace_parts


def test_a_stack_is_one_part_and_its_cells_are_the_layers(nalu: NALU) -> None:
    assert arithmetic_parts(nalu) == {"": nalu}
    assert list(arithmetic_layers(nalu)) == ["layers.0", "layers.1"]


def test_a_sequential_of_nothing_else_is_one_part() -> None:
    model = nn.Sequential(NACCell(2, 3), nn.Sequential(NALU(3, 1)))
    assert is_arithmetic(model)
    assert arithmetic_parts(model) == {"": model}


def test_an_empty_sequential_is_not_arithmetic() -> None:
    assert not is_arithmetic(nn.Sequential())


def test_parts_inside_a_model_are_found_by_path(image_model: BackboneHead) -> None:
    assert arithmetic_parts(image_model) == {"head": image_model.head}
    model = nn.Sequential(nn.Linear(2, 3), NALU(3, 2), nn.ReLU(), NACCell(2, 1))
    assert list(arithmetic_parts(model)) == ["1", "3"]


def test_a_model_without_arithmetic_has_no_part() -> None:
    assert arithmetic_parts(nn.Linear(2, 1)) == {}


def test_a_part_that_is_used_twice_is_replaced_in_both_places() -> None:
    shared = NACCell(2, 2)
    model = nn.Sequential(nn.Linear(2, 2), shared, nn.ReLU(), shared)
    replaced = replace_parts(model, {"1": nn.Identity()})
    assert not any(isinstance(module, NACCell) for module in replaced.modules())
    assert replaced(torch.zeros(1, 2)).shape == (1, 2)


def test_replacing_the_whole_gives_the_replacement(nalu: NALU) -> None:
    instead = nn.Identity()
    assert replace_parts(nalu, {"": instead}) is instead
