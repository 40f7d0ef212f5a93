from typing import Any

import numpy as np
import pytest
import torch

from nalu_export import NAC, NALU, InputError, NACCell, NALUCell
from tests.nn.formulas import stack, weights_of


@pytest.mark.parametrize("dims", [(2, 1), (4, 5, 2), (3, 1, 1, 6)])
@pytest.mark.parametrize(
    ("kind", "options", "eps"),
    [
        (NAC, {}, None),
        (NALU, {}, 1e-10),
        (NALU, {"eps": 1e-3, "tied": False}, 1e-3),
        (NALU, {"eps": 1e-7, "gate": "row"}, 1e-7),
    ],
)
def test_formula(kind: type[NAC | NALU], options: dict[str, Any], eps: float | None, dims: tuple[int, ...]) -> None:
    model = kind(*dims, **options).double()
    x = torch.randn(9, dims[0], dtype=torch.float64)
    x[0] = 0.0
    expected = stack(x.numpy(), weights_of(model), eps)
    assert expected.shape == (9, dims[-1])
    np.testing.assert_allclose(model(x).detach().numpy(), expected, rtol=1e-10, atol=1e-13)


def test_state_dict_names() -> None:
    assert list(NAC(3, 4, 2).state_dict()) == [
        "layers.0.W_hat",
        "layers.0.M_hat",
        "layers.1.W_hat",
        "layers.1.M_hat",
    ]
    assert list(NALU(3, 4).state_dict()) == ["layers.0.W_hat", "layers.0.M_hat", "layers.0.G"]


def test_cells_follow_the_sizes() -> None:
    model = NALU(16, 32, 1, eps=1e-5, tied=False, gate="row")
    assert model.dims == (16, 32, 1)
    for cell, sizes in zip(model.layers, [(16, 32), (32, 1)], strict=True):
        assert isinstance(cell, NALUCell)
        assert (cell.in_features, cell.out_features) == sizes
        assert (cell.eps, cell.tied, cell.gate) == (1e-5, False, "row")
    assert all(isinstance(cell, NACCell) for cell in NAC(2, 8, 1).layers)


@pytest.mark.parametrize("kind", [NAC, NALU])
@pytest.mark.parametrize(
    ("dims", "text"),
    [
        ((), "dims is []; a stack needs at least an input and an output size"),
        ((3,), "dims is [3]; a stack needs at least an input and an output size"),
        ((3, 0, 1), "dims[1] is 0; it must be an integer of at least 1"),
        ((3, 2, 1.0), "dims[2] is 1.0; it must be an integer of at least 1"),
        (([3, 1],), "dims is [[3, 1]]; a stack needs at least an input and an output size"),
        (([3, 1], 1), "dims[0] is [3, 1]; it must be an integer of at least 1"),
    ],
)
def test_wrong_sizes(kind: type[NAC | NALU], dims: tuple[Any, ...], text: str) -> None:
    with pytest.raises(InputError) as caught:
        kind(*dims)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        (NAC, {"init": "x"}, "init is 'x'; allowed: 'kaiming_uniform', 'kaiming_normal', 'xavier_uniform'"),
        (NALU, {"init": 1}, "init is 1; allowed: 'kaiming_uniform', 'kaiming_normal', 'xavier_uniform'"),
        (NALU, {"eps": 2}, "eps is 2; it must be a number from 1e-30 to 1"),
        (NALU, {"tied": "no"}, "tied is 'no'; allowed: True, False"),
        (NALU, {"gate": ""}, "gate is ''; allowed: 'matrix', 'row', 'constant'"),
    ],
)
def test_wrong_options(kind: type[NAC | NALU], options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        kind(2, 1, **options)
    assert str(caught.value) == text


def test_repr_gives_the_arguments_of_a_cell_once() -> None:
    text = repr(NALU(2, 3, 1, eps=1e-5))
    assert text.count("eps=1e-05") == 2
    assert text.startswith("NALU(\n")
