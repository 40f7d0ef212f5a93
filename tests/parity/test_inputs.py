"""nalu_export.parity.inputs: every family holds what its name says, seeded, in several batch sizes."""

import numpy as np
import pytest

from nalu_export.parity.inputs import FAMILIES, Draw, draw, shares


def _by_family(shape: tuple[int, ...] = (6,), samples: int = 200, seed: int = 0) -> dict[str, Draw]:
    return {drawn.family: drawn for drawn in draw([shape], samples, seed)}


def test_families_cover_what_parity_promises() -> None:
    found = {family: drawn.x for family, drawn in _by_family().items()}
    assert set(found) == set(FAMILIES)
    magnitudes = {family: np.abs(x[x != 0]) for family, x in found.items()}
    assert found["0.1..1"].min() >= 0.1
    assert found["0.1..1"].max() <= 1.0
    assert found["1e3..1e4"].min() >= 1e3
    assert 5e6 < found["1..1e7"].max() <= 1e7
    assert found["-10..10"].min() < -9
    assert 0.2 < (found["zeros"] == 0).mean() < 0.6
    assert (found["zeros"][0] == 0).all()
    assert (found["zeros"][:, 0] == 0).all()
    assert set(np.unique(found["ones"])) == {-1.0, 1.0}
    assert (found["ones"][0] == 1).all()
    assert magnitudes["mixed 1e±7"].max() / magnitudes["mixed 1e±7"].min() > 1e12
    assert found["mixed 1e±7"].min() < 0
    subnormal = magnitudes["subnormal"]
    assert (subnormal < np.finfo(np.float32).tiny).any()
    assert subnormal.max() < 1e-36


def test_inputs_are_float32_and_finite() -> None:
    for drawn in draw([(3,), (1, 4, 5)], 10, 0):
        assert drawn.x.dtype == np.float32
        assert np.isfinite(drawn.x).all()


def test_a_seed_is_an_input_set() -> None:
    first, again, other = _by_family(seed=3), _by_family(seed=3), _by_family(seed=4)
    for family in FAMILIES:
        np.testing.assert_array_equal(first[family].x, again[family].x)
        if family != "ones":
            assert not np.array_equal(first[family].x, other[family].x)


@pytest.mark.parametrize(("samples", "batches"), [(1, [1]), (2, [1, 1]), (3, [1, 2]), (50, [1, 2, 47])])
def test_batches_are_one_two_and_the_rest(samples: int, batches: list[int]) -> None:
    for drawn in _by_family(samples=samples).values():
        assert [len(x) for x in drawn.batches] == batches


def test_shapes_share_the_samples() -> None:
    sizes = [drawn.x.shape for drawn in draw([(1, 4, 4), (1, 5, 7)], 7, 0)][:2]
    assert sizes == [(3, 1, 4, 4), (4, 1, 5, 7)]
    assert shares(2, 5) == [1, 1, 1, 1, 1]
