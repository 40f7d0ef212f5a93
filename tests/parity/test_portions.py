"""nalu_export.parity.portions: what is analysed at once is cut by size, and what is found does not depend on it."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nalu_export import NALU, BackboneHead, InputError, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.interface import Called, positional
from nalu_export.parity import portions
from nalu_export.parity.batch import Batch
from nalu_export.parity.causes import causes
from nalu_export.parity.locate import IntermediateValues, compare_intermediate_values
from nalu_export.parity.reference import Expected, Reference
from nalu_export.primitives.precision import Profile
from nalu_export.process.memory import allowing
from nalu_export.runtimes.base import RunOptions
from tests.alone import expected_of
from tests.captured import graph_of


def _x(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-3, 3, shape).astype(np.float32)


def _cells(numbers: int) -> nn.Module:
    return nn.Sequential(nn.Linear(4, numbers), NALU(numbers, 2))


@pytest.mark.parametrize(
    ("samples", "cut"), [(0, [0]), (1, [1]), (2, [2]), (3, [2, 1]), (7, [2, 2, 2, 1])], ids=lambda value: str(value)
)
def test_a_portion_is_as_large_as_it_may_be(samples: int, cut: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    found = Reference(graph_of(_cells(50))).portions
    x = Batch.of(_x(samples, 4))
    if samples:
        monkeypatch.setattr(portions, "PORTION", int(2.5 * portions.TAKEN * found.numbers(x)))
    assert [len(x[rows]) for rows in found(x)] == cut


def test_a_sample_that_is_larger_than_a_portion_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "PORTION", 1)
    assert list(Reference(graph_of(_cells(5))).portions(Batch.of(_x(2, 4)))) == [slice(0, 1), slice(1, 2)]


def test_numbers_grow_with_the_sample_and_not_with_the_weights(image_model: BackboneHead) -> None:
    found = Reference(graph_of(image_model)).portions
    small, large = (found.numbers(Batch.of(_x(1, 1, side, side))) for side in (8, 16))
    assert 3 < large / small < 4.1
    assert Reference(graph_of(nn.Linear(1000, 1))).portions.numbers(Batch.of(_x(1, 1000))) < 3000


class _Starts(nn.Module):
    """Its state is float32 whatever the type of the module."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALU(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(x.shape[0], 4)
        for _ in range(3):
            state = self.cell(state) + x
        return state


def test_what_runs_in_float32_alone_is_counted() -> None:
    found = Reference(graph_of(_Starts(), (4,))).portions
    assert found.numbers(Batch.of(_x(1, 4))) > 50


def test_a_sample_that_takes_more_than_may_be_taken_is_refused(image_model: BackboneHead) -> None:
    reference = Reference(graph_of(image_model))
    x = Batch.of(_x(2, 1, 64, 64))
    taken = portions.KEPT * reference.portions.numbers(x)
    for size, refused in ((taken - 1, True), (taken, False)):
        fresh = Reference(graph_of(image_model))
        with allowing(size):
            if not refused:
                assert fresh(x, [Profile()])
                continue
            with pytest.raises(InputError) as caught:
                fresh(x, [Profile()])
            assert str(caught.value) == (
                f"the check of one sample of shape (1, 64, 64) takes at least {taken:,} bytes of memory, and the "
                f"limit is {size:,}; give smaller inputs (input_size)"
            )


def test_what_is_expected_does_not_depend_on_portions(
    image_model: BackboneHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, x = Reference(graph_of(image_model)), _x(7, 1, 8, 8)
    profiles = [Profile(), Profile("float64")]
    whole = expected_of(reference, x, profiles)
    monkeypatch.setattr(portions, "PORTION", 3 * portions.TAKEN * reference.portions.numbers(Batch.of(x)))
    assert len(reference.portions(Batch.of(x))) == 3
    cut = expected_of(reference, x, profiles)
    for profile in profiles:
        for field in fields(Expected):
            one, other = getattr(whole[profile], field.name), getattr(cut[profile], field.name)
            assert one.dtype == other.dtype
            # Bounds come from evaluations in float32, which round otherwise in a batch of another size.
            rtol = 0.02 if field.name in ("bound", "unit") else 1e-12
            np.testing.assert_allclose(other, one, rtol=rtol, err_msg=field.name)


def test_causes_are_found_in_every_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = Reference(graph_of(NALU(4, 2)))
    x = Batch.of(_x(3, 4))
    x.arrays[0][2] = 3e38
    monkeypatch.setattr(portions, "PORTION", 1)
    assert causes(reference, x, Profile()) == causes(reference, x[:2], Profile()) + causes(reference, x[2:], Profile())


def _inside(x: NDArray[np.float32]) -> IntermediateValues:
    torch.manual_seed(0)
    # Another eps shows where an input is zero.
    model, other = NALU(4, 2, eps=1e-5), NALU(4, 2, eps=1e-4)
    other.load_state_dict(model.state_dict())
    data = formats.get("onnx").emit(graph_of(other), EmitOptions("folded", "float32")).to_bytes({})
    session = runtimes.get("onnxruntime-cpu").load(Called(model, positional(1)), data, RunOptions())
    return compare_intermediate_values(Reference(graph_of(model)), session, Batch.of(x), Profile(), "ort")


def test_intermediate_values_are_seen_in_every_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.float32(1e4) * _x(5, 4).clip(1)
    assert _inside(x).first is None
    x[3, 2] = 0.0
    whole = _inside(x)
    assert whole.first is not None
    monkeypatch.setattr(portions, "PORTION", 1)
    assert _inside(x) == whole
