"""The formulas are tested too: against the paper's by hand, and that a wrong one would be noticed."""

from itertools import combinations

import numpy as np
import pytest
import torch

from tests.checkpoints.layouts.case import Published
from tests.checkpoints.layouts.loading import RELATIVE, inputs, worst
from tests.checkpoints.layouts.published import ALL

ONE_CELL = (3, 3)
LIKE: list[tuple[Published, Published]] = [
    (first, second)
    for first, second in combinations(ALL, 2)
    if first.place == second.place
    and first.keys.keys() == second.keys.keys()
    and first.layout not in second.same
    and "11" not in {*first.keys.values(), *second.keys.values()}  # Nilabhra's gate: its shape tells
]


def test_the_paper_by_hand() -> None:
    """A NALU of Trask et al. 2018, equations 1 and 2, in plain torch in float64."""
    case = next(case for case in ALL if case.layout == "kevinzakka:NALU")
    state = case.state(np.random.default_rng(1), (3, 4))
    G, W_hat, M_hat = (value.double() for value in state.values())
    x = torch.tensor([[1.5, -2.0, 0.0], [3.0, 0.25, 7.0]], dtype=torch.float64)
    W = torch.tanh(W_hat) * torch.sigmoid(M_hat)
    g = torch.sigmoid(x @ G.T)
    y = g * (x @ W.T) + (1 - g) * torch.exp(torch.log(torch.abs(x) + 1e-10) @ W.T)
    assert worst(y.numpy(), case.reference(state, x.numpy())) < 1e-14


@pytest.mark.parametrize("case", ALL, ids=str)
def test_references_are_finite(case: Published) -> None:
    """An infinite reference would agree with anything."""
    rng = np.random.default_rng(2)
    for dims in ((3, 3), (3, 3, 3, 3)) if case.stacks else ((3, 3),):
        reference = case.reference(case.state(rng, dims), inputs(rng, 3))
        assert np.isfinite(reference.value.astype(np.float64)).all()
        assert np.isfinite(reference.size.astype(np.float64)).all()


@pytest.mark.parametrize("pair", LIKE, ids=lambda pair: f"{pair[0]} | {pair[1].layout}")
def test_formulas_of_the_same_keys_are_told_apart(pair: tuple[Published, Published]) -> None:
    """Where keys do not tell, values do: neither formula passes for the other, on square weights."""
    rng = np.random.default_rng(3)
    first, second = pair
    state, x = first.state(rng, ONE_CELL), inputs(rng, 3)
    reference = first.reference(state, x)
    assert worst(second.reference(state, x).value.astype(np.float64), reference) > 1e6 * RELATIVE


# Outside a logarithm 1e-12 is nothing.
@pytest.mark.parametrize("case", [case for case in ALL if case.eps and case.layout != "no-log:NALU"], ids=str)
@pytest.mark.parametrize("factor", [0.1, 0.9, 10.0])
def test_another_eps_is_noticed(case: Published, factor: float) -> None:
    rng = np.random.default_rng(4)
    state, x = case.state(rng, ONE_CELL), inputs(rng, 3)
    assert case.eps is not None
    other = case.reference(state, x, eps=factor * float(state.get("eps", case.eps))).value.astype(np.float64)
    assert worst(other, case.reference(state, x)) > 1e6 * RELATIVE


@pytest.mark.parametrize("case", ALL, ids=str)
def test_every_tensor_that_counts_is_noticed(case: Published) -> None:
    """A tensor moved by a thousandth moves the reference, unless it is one of the raw parameters that never trained."""
    rng = np.random.default_rng(5)
    state, x = case.state(rng, ONE_CELL), inputs(rng, 3)
    reference = case.reference(state, x)
    for key, value in state.items():
        moved = case.reference(state | {key: value + 1e-3}, x).value.astype(np.float64)
        assert (worst(moved, reference) > 1e6 * RELATIVE) == (key.removeprefix(case.prefixes(1)[0]) in case.computing)
