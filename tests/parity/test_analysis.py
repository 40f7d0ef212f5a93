"""nalu_export.parity.analysis: D is the published formula for one cell, and no float32 evaluation leaves its radius."""

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nalu_export import NAC, NALU, BackboneHead, NACCell, NALUCell
from nalu_export.graph import label_of
from nalu_export.graph.folding import fold
from nalu_export.modules.copying import copied
from nalu_export.nn.functional import effective_weight
from nalu_export.parity.analysis import OWN_ERROR, ErrorAnalysis
from nalu_export.parity.inputs import DISTRIBUTIONS
from nalu_export.primitives.conditioned import FLUSH, Conditioned
from nalu_export.primitives.precision import Profile
from tests.alone import analysed, array_of, drawn_over
from tests.captured import form_of, graph_of
from tests.conftest import saturated
from tests.primitives.balls import TINY, U

Array = NDArray[np.float64]
FLOAT32, FLOAT64, OWN = Profile(), Profile("float64"), Profile(own_weights=True)


def _analysis(model: nn.Module, *, live: bool = False) -> ErrorAnalysis:
    graph = copied(graph_of(model).flat).double()
    return ErrorAnalysis(graph if live else fold(graph))


@torch.no_grad()
def _of(model: nn.Module, x: Tensor, profile: Profile = FLOAT32) -> Conditioned:
    return analysed(_analysis(model, live=profile.own_weights), x.double(), profile)


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
    np.testing.assert_allclose(_of(cell, x).error.numpy(), _formula(cell, x.numpy()), rtol=2e-3, atol=8 * FLUSH)


def test_a_nac_cell_is_the_size_of_its_terms() -> None:
    cell = NACCell(5, 3)
    x = torch.randn(50, 5, dtype=torch.float64)
    weight = torch.tanh(cell.W_hat.double()) * torch.sigmoid(cell.M_hat.double())
    torch.testing.assert_close(_of(cell, x).error, (x.abs() @ weight.abs().T).detach(), rtol=1e-12, atol=0)


@torch.no_grad()
def test_the_value_is_the_model_in_float64(nalu: NALU, nac: NAC, image_model: BackboneHead) -> None:
    for model, shape in ((nalu, (9, 4)), (nac, (9, 4)), (image_model, (3, 1, 8, 9))):
        x = torch.rand(shape, dtype=torch.float64)
        for profile in (FLOAT32, FLOAT64, OWN):
            torch.testing.assert_close(_of(model.float(), x, profile).value, model.double()(x), rtol=1e-13, atol=1e-15)


@torch.no_grad()
def _identity(cell: nn.Module) -> None:
    """A cell that hands its input on."""
    assert isinstance(cell, NACCell)
    cell.W_hat.copy_(torch.eye(cell.in_features) * 40)
    cell.M_hat.fill_(40.0)


def test_errors_grow_from_layer_to_layer() -> None:
    x = torch.rand(20, 4) + 0.5
    layers = NAC(4, 4, 4, 4)
    for cell in layers.layers:
        _identity(cell)
    one, three = _of(layers.layers[0], x), _of(layers, x)
    torch.testing.assert_close(three.error, 3 * one.error, rtol=1e-6, atol=0)
    torch.testing.assert_close(three.radius, 3 * one.radius, rtol=1e-5, atol=0)


def test_nothing_is_known_better_than_the_smallest_normal_number() -> None:
    found = _of(NACCell(2, 1), torch.zeros(1, 2))
    assert float(found.error) == FLUSH
    assert float(found.radius) == 0.0


def test_overflow_is_marked_where_a_value_or_its_source_leaves_float32() -> None:
    stack = NAC(2, 2, 2)
    for cell in stack.layers:
        _identity(cell)
    x = torch.tensor([[1.0, 2.0], [1e39, 1.0], [1e309, 1.0]], dtype=torch.float64)
    # A dot product mixes its inputs: inf·0 is NaN, so the second output of the second sample is lost as well.
    assert _of(stack, x).overflow.tolist() == [[0, 0], [1, 1], [2, 2]]


# The radius -------------------------------------------------------------------------------------------------------


def _models() -> dict[str, nn.Module]:
    torch.manual_seed(3)
    return {
        "nalu": NALU(4, 5, 2),
        "nac": NAC(4, 3, 2),
        "trained": saturated(NALUCell(16, 8)),
        "untied": NALU(3, 2, tied=False, gate="row"),
        "deep": NALU(2, 3, 3, 1),
        "behind a linear": nn.Sequential(nn.Linear(3, 4), NALU(4, 2)),
    }


def _holds(out: Tensor, found: Conditioned) -> None:
    sure = (found.overflow == 0) & torch.isfinite(found.radius)
    off = (out.double() - found.value).abs()
    assert bool((off <= found.radius)[sure].all()), (off / found.radius)[sure].max()


@pytest.mark.parametrize("name", _models())
@torch.no_grad()
def test_pytorch_and_the_folded_form_stay_within_their_radii_in_every_distribution(name: str) -> None:
    model = _models()[name]
    first = next(model.parameters())
    width = first.shape[-1]
    live, folded = _analysis(model, live=True), _analysis(model)
    form = form_of(model)
    seen = set()
    for drawn in drawn_over([(width,)], 200, 1):
        x = torch.from_numpy(array_of(drawn.x))
        _holds(model(x), analysed(live, x.double(), OWN))
        _holds(form(x), analysed(folded, x.double(), FLOAT32))
        seen.add(drawn.distribution)
    assert seen == set(DISTRIBUTIONS)


@pytest.mark.parametrize("name", ["nalu", "nac", "trained", "untied", "deep"])
@torch.no_grad()
def test_the_float64_form_stays_within_a_rounding_of_its_output(name: str) -> None:
    model = _models()[name]
    width = next(model.parameters()).shape[-1]
    form, analysis = form_of(model, "folded", "float64"), _analysis(model)
    for drawn in drawn_over([(width,)], 100, 1):
        x = torch.from_numpy(array_of(drawn.x))
        found = analysed(analysis, x.double(), FLOAT64)
        _holds(form(x), found)
        if drawn.distribution in ("0.1..1", "1..10", "-10..10"):
            # Half an ulp of the output is at most one roundoff of it; cancellation costs a little of float64.
            assert bool((found.radius <= 1.01 * U * found.value.abs() + 2.0**-40 + TINY).all())


@pytest.mark.parametrize("name", ["nalu", "nac", "trained", "untied", "deep"])
def test_profiles_are_wider_from_float64_to_tf32(name: str) -> None:
    model = _models()[name]
    x = torch.rand(50, next(model.parameters()).shape[-1]) * 4 - 1
    profiles = (FLOAT64, FLOAT32, OWN, Profile(own_weights=True, tf32=True))
    radii = [_of(model, x, profile).radius for profile in profiles]
    for narrow, wide in itertools.pairwise(radii):
        assert bool((narrow <= wide).all())
        assert bool((narrow < wide).any())
    tf32 = _of(model, x, Profile(tf32=True)).radius
    assert bool((tf32 > 50 * radii[1]).all())
    # TF32 does not touch what computes in float64.
    torch.testing.assert_close(_of(model, x, Profile("float64", tf32=True)).radius, radii[0], rtol=0, atol=0)


def test_the_radius_is_no_more_than_the_roundings_of_a_small_cell() -> None:
    """Two exact products and their sum: at most three roundings of the terms, and the weight's own."""
    x = torch.rand(100, 2) + 0.5
    cell = NACCell(2, 3)
    found, weight = _of(cell, x), effective_weight(cell.W_hat, cell.M_hat).detach().double()
    size = x.double() @ weight.abs().T
    assert bool((found.radius <= 3.01 * U * size).all())
    assert bool((found.radius >= U * size).all())


def test_one_input_into_a_saturated_cell_is_one_or_two_roundings() -> None:
    cell = NACCell(4, 4)
    _identity(cell)
    x = torch.tensor([[3.7, 0.0, 0.0, 0.0]])
    found = _of(cell, x)
    assert found.radius[0, 1:].tolist() == [0.0, 0.0, 0.0]
    assert 0 < float(found.radius[0, 0]) <= 2.01 * U * 3.7


def test_a_subnormal_input_may_be_read_as_zero() -> None:
    cell = NACCell(1, 1)
    _identity(cell)
    found = _of(cell, torch.tensor([[1e-40]]))
    assert float(found.radius) >= float(found.value) > 0
    normal = _of(cell, torch.tensor([[1e-30]]))
    assert float(normal.radius) < 1e-36


def test_a_walk_gives_every_value_with_its_name(nalu: NALU) -> None:
    analysis, x = _analysis(nalu), torch.rand(3, 4).double()
    steps = list(analysis.walk([x], FLOAT32))
    names = [name for node, _ in steps if (name := label_of(node))]
    assert {"layers.0.a", "layers.0.m", "layers.1.z", "layers.1.y"} <= set(names)
    node, last = steps[-1]
    assert label_of(node) == "layers.1.y"
    torch.testing.assert_close(analysed(analysis, x, FLOAT32).value, last.value, rtol=0, atol=0)


@torch.no_grad()
def test_a_model_with_a_backbone_stays_within_its_radius(image_model: BackboneHead) -> None:
    analysis = _analysis(image_model)
    with analysis.opaque.calibrating():
        for seed in range(4):
            x = torch.rand(8, 1, 9, 8, generator=torch.Generator().manual_seed(seed)) * 2
            analysed(analysis, x.double(), FLOAT32)
    for seed in range(4, 12):
        x = torch.rand(8, 1, 9, 8, generator=torch.Generator().manual_seed(seed)) * 2
        found = analysed(analysis, x.double(), FLOAT32)
        _holds(image_model(x), found)
        # Not so wide that a fault would hide: TF32 would show.
        assert float(found.radius.max()) < 5e-3
    assert OWN_ERROR < 1e-5
