"""nalu_export.parity.analysis: D is the published formula for one cell, and holds where first order does not."""

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, NACCell, NALUCell
from nalu_export.graph import trace_model
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.conditioned import FLUSH, ROUNDOFF, Conditioned
from nalu_export.parity.opaque import OpaqueCalls
from nalu_export.weights import fold
from tests.conftest import saturated

Array = NDArray[np.float64]


def _analysis(model: nn.Module) -> ErrorAnalysis:
    return ErrorAnalysis(fold(trace_model(copy.deepcopy(model).double())))


def _formula(cell: NALUCell, x: Array) -> Array:
    """The formula as it stands in the project's facts, written a second time on purpose."""
    W_hat, M_hat, G = (p.detach().double().numpy() for p in (cell.W_hat, cell.M_hat, cell.G))
    W = np.tanh(W_hat) / (1 + np.exp(-M_hat))
    z = x @ G.T
    g, h = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z))
    logs = np.log(np.abs(x) + cell.eps)
    m = np.exp(logs @ W.T)
    gate = np.abs(x) @ np.abs(G).T
    sums, powers = np.abs(x) @ np.abs(W).T, np.abs(logs) @ np.abs(W).T
    found: Array = g * sums * (1 + h * gate) + h * m * (1 + powers + g * gate)
    return found


@pytest.mark.parametrize("size", [2, 16, 64, 256])
@pytest.mark.parametrize(("low", "high"), [(0.1, 1.0), (1.0, 10.0), (-10.0, 10.0)])
@pytest.mark.parametrize("trained", [False, True])
def test_one_cell_is_the_formula(size: int, low: float, high: float, trained: bool) -> None:
    cell = saturated(NALUCell(size, 8)) if trained else NALUCell(size, 8)
    x = torch.rand(200, size, dtype=torch.float64) * (high - low) + low
    x[::3] *= torch.rand(x[::3].shape) > 0.3
    found = _analysis(cell)(x)
    np.testing.assert_allclose(found.error.detach().numpy(), _formula(cell, x.numpy()), rtol=2e-3, atol=8 * FLUSH)


def test_a_nac_cell_is_the_size_of_its_terms() -> None:
    cell = NACCell(5, 3)
    x = torch.randn(50, 5, dtype=torch.float64)
    weight = torch.tanh(cell.W_hat.double()) * torch.sigmoid(cell.M_hat.double())
    torch.testing.assert_close(_analysis(cell)(x).error, x.abs() @ weight.abs().T, rtol=1e-12, atol=0)


def test_the_value_is_the_model_in_float64(nalu: NALU, nac: NAC, image_model: BackboneHead) -> None:
    for model, shape in ((nalu, (9, 4)), (nac, (9, 4)), (image_model, (3, 1, 8, 9))):
        x = torch.rand(shape, dtype=torch.float64)
        torch.testing.assert_close(_analysis(model)(x).value, model.double()(x), rtol=1e-13, atol=1e-15)


def test_errors_grow_from_layer_to_layer() -> None:
    x = torch.rand(20, 4, dtype=torch.float64) + 0.5
    layers = NAC(4, 4, 4, 4)
    for cell in layers.layers:
        saturated_identity(cell)
    one, three = _analysis(layers.layers[0])(x).error, _analysis(layers)(x).error
    torch.testing.assert_close(three, 3 * one, rtol=1e-6, atol=0)


def saturated_identity(cell: nn.Module) -> None:
    """A cell that hands its input on."""
    assert isinstance(cell, NACCell)
    with torch.no_grad():
        cell.W_hat.copy_(torch.eye(cell.in_features) * 40)
        cell.M_hat.fill_(40.0)


def test_nothing_is_known_better_than_the_smallest_normal_number() -> None:
    found = _analysis(NACCell(2, 1))(torch.zeros(1, 2, dtype=torch.float64))
    assert float(found.error) == FLUSH


def test_overflow_is_marked_where_a_value_or_its_source_leaves_float32() -> None:
    stack = NAC(2, 2, 2)
    for cell in stack.layers:
        saturated_identity(cell)
    x = torch.tensor([[1.0, 2.0], [1e39, 1.0], [1e309, 1.0]], dtype=torch.float64)
    found = _analysis(stack)(x)
    # A dot product mixes its inputs: inf·0 is NaN, so the second output of the second sample is lost as well.
    assert found.overflow.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_the_longest_sum_is_the_widest_layer(nalu: NALU) -> None:
    assert _analysis(nalu).longest_sum == 5
    assert _analysis(nn.Sequential(nn.Linear(3, 3), NALU(3, 1))).longest_sum == 3


@pytest.mark.parametrize(("M_hat", "lost"), [(20.0, 0), (-2.0, 0), (-17.0, 6), (-20.0, 6), (-40.0, 0)])
def test_weights_that_a_sum_may_lose_are_counted(M_hat: float, lost: int) -> None:
    cell = NACCell(8, 3)
    with torch.no_grad():
        cell.W_hat.fill_(20.0)
        cell.M_hat.fill_(20.0)
        cell.M_hat[1, 2:] = M_hat
    assert _analysis(cell).lost_terms == lost


@torch.no_grad()
def test_the_error_of_a_backbone_is_measured(image_model: BackboneHead) -> None:
    """The features' float32 error is inside their D, and not a thousand times smaller than it."""
    x = torch.rand(8, 1, 12, 12)
    exact, single = copy.deepcopy(image_model).double().backbone(x.double()), image_model.backbone(x).double()
    graph = fold(trace_model(copy.deepcopy(image_model).double()))
    node = next(node for node in graph.graph.nodes if node.target == "backbone")
    found = OpaqueCalls(graph)(node, {node.args[0]: Conditioned.exact(x.double())})
    ratio = ((single - exact).abs() / (ROUNDOFF * found.error)).max()
    assert 1e-3 < float(ratio) <= 1.0
