"""nalu_export.parity.reference: the untouched model in float64, what it may be off by, and PyTorch's float32."""

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nalu_export import NAC, NALU, BackboneHead, InputError
from nalu_export.graph import label_of
from nalu_export.parity.batch import Batch
from nalu_export.parity.reference import Expected, Reference
from nalu_export.primitives.precision import Profile
from tests.alone import expected_of
from tests.captured import graph_of

PROFILES = [Profile(), Profile("float64"), Profile(own_weights=True), Profile(tf32=True)]


def _x(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).uniform(-3, 3, shape).astype(np.float32)


def _first(reference: Reference, x: NDArray[np.float32]) -> Expected:
    return expected_of(reference, x, PROFILES[:1])[PROFILES[0]]


def _off(expected: Expected) -> NDArray[np.float64]:
    """By how much PyTorch's own float32 is off."""
    found: NDArray[np.float64] = np.abs(expected.torch.astype(np.float64) - expected.reference)
    return found


@torch.no_grad()
def test_the_reference_is_the_model_in_float64_and_pytorch_s_own_in_float32(nalu: NALU) -> None:
    x = _x(7, 4)
    found = expected_of(Reference(graph_of(nalu)), x, PROFILES)
    assert list(found) == PROFILES
    for expected in found.values():
        np.testing.assert_array_equal(expected.reference, copy.deepcopy(nalu).double()(torch.from_numpy(x).double()))
        np.testing.assert_array_equal(expected.torch, nalu(torch.from_numpy(x)))
        assert [expected.reference.dtype, expected.torch.dtype] == [np.dtype("float64"), np.dtype("float32")]
        for part in (expected.bound, expected.unit, expected.overflow, expected.zero, expected.torch):
            assert part.shape == expected.reference.shape == (7, 2)
        assert (expected.bound > 0).all()
        assert (expected.unit > 0).all()
        assert not expected.overflow.any()
    own = found[PROFILES[2]]
    assert (_off(own) <= own.bound).all()
    bounds = [found[profile].bound for profile in (PROFILES[1], PROFILES[0], PROFILES[2])]
    assert (bounds[0] < bounds[1]).all()
    assert (bounds[1] < bounds[2]).all()
    np.testing.assert_array_equal(found[PROFILES[0]].unit, found[PROFILES[1]].unit)


def test_the_model_is_left_as_it_was(image_model: BackboneHead) -> None:
    before = copy.deepcopy(image_model.state_dict())
    graph = graph_of(image_model)
    image_model.train()
    expected_of(Reference(graph, [Batch.of(_x(4, 1, 8, 8))]), _x(2, 1, 8, 8), PROFILES)
    assert image_model.training
    for name, value in image_model.state_dict().items():
        assert value.dtype == before[name].dtype
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_model_in_training_is_held_to_its_evaluation(image_model: BackboneHead) -> None:
    x = _x(3, 1, 8, 8)
    graph = graph_of(image_model)
    wanted = _first(Reference(graph), x)
    assert graph.module is image_model.train()
    found = _first(Reference(graph), x)
    np.testing.assert_array_equal(found.reference, wanted.reference)


def test_calibration_tells_what_selects_from_what_computes() -> None:
    """Uncalibrated, every call without a rule counts as one that rounds."""

    class Sorted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = NAC(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(torch.sort(x, 1)[0])
            return found

    torch.manual_seed(0)
    graph, x = graph_of(Sorted()), _x(3, 4)
    plain = _first(Reference(graph), x)
    calibrated = _first(Reference(graph, [Batch.of(_x(8, 4))]), x)
    assert (calibrated.bound < plain.bound).all()
    assert (_off(calibrated) <= calibrated.bound).all()


def test_signs_of_zero_and_overflow_are_told(nac: NAC) -> None:
    x = np.zeros((2, 4), np.float32)
    x[1] = 3e38
    with torch.no_grad():
        for cell in nac.layers:
            cell.W_hat.fill_(20.0)  # type: ignore[operator]
            cell.M_hat.fill_(20.0)  # type: ignore[operator]
    found = _first(Reference(graph_of(nac)), x)
    assert found.zero.tolist() == [[1, 1], [0, 0]]
    assert found.overflow.tolist() == [[0, 0], [1, 1]]
    assert found.bound[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(2, 3), (2, 5), (2, 4, 3)])
def test_a_shape_that_the_model_does_not_take_is_named(nalu: NALU, shape: tuple[int, ...]) -> None:
    text = rf"^the model does not run on inputs of shape \({', '.join(map(str, shape))}\): .+$"
    with pytest.raises(InputError, match=text):
        expected_of(Reference(graph_of(nalu)), _x(*shape), PROFILES)


def test_a_forward_that_raises_value_error_is_no_crash() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = NAC(2, 1)
            self.inner = _Refusing()

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.layer(self.inner(x))
            return found

    model = Picky()
    graph = graph_of(model)
    model.inner.refuses = True
    with pytest.raises(InputError, match=r"^the model does not run on inputs of shape \(1, 2\): too few$"):
        expected_of(Reference(graph), _x(1, 2), PROFILES)


class _Refusing(nn.Module):
    refuses = False

    def forward(self, x: Tensor) -> Tensor:
        if self.refuses:
            raise ValueError("too few\nand more")
        return x


@pytest.mark.parametrize("profile", PROFILES)
def test_values_come_in_the_order_of_computation(nalu: NALU, profile: Profile) -> None:
    reference, x = Reference(graph_of(nalu)), Batch.of(_x(3, 4))
    steps = reference.values(x, profile)
    names = [label_of(node) or str(node.target) for node, _ in steps]
    assert names[-1] == "layers.1.y"
    assert names.index("layers.0.a") < names.index("layers.0.y") < names.index("layers.1.m")
    assert ("layers.0.W" in names) is not profile.own_weights or "layers.0.W_hat" in names
    assert not any(step.value.requires_grad for _, step in steps)
    ((node, output),) = reference.outputs(x, profile)
    assert node is steps[-1][0]
    torch.testing.assert_close(output.value, steps[-1][1].value, rtol=0, atol=0)


def _drawn(model: nn.Module) -> int:
    """How many batches a reference takes to measure what is not arithmetic."""
    batches = [Batch.of(_x(3, 4)), Batch.of(_x(5, 4))]
    left = iter(batches)
    Reference(graph_of(model), left)
    return len(batches) - len(list(left))


def test_what_surrounds_a_head_of_features_is_measured_too() -> None:
    torch.manual_seed(0)
    surrounded = nn.Sequential(nn.Linear(4, 6), nn.GRUCell(6, 6), nn.Linear(6, 3), NALU(3, 2)).eval()
    assert _drawn(surrounded) == 2
    assert _drawn(nn.Sequential(NAC(4, 3), NALU(3, 2))) == 0
    # The float32 error of the layers before the head, which one measurement may find to be less than the next one.
    x = _x(200, 4)
    expected = _first(Reference(graph_of(surrounded), [Batch.of(_x(50, 4))]), x)
    assert (_off(expected) <= expected.bound).all()
