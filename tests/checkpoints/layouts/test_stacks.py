"""Long stacks: the tenth layer stands behind the second, whatever the order of the names as text."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nalu_export import InputError
from tests.checkpoints.conftest import Refusal
from tests.checkpoints.files import torch_bytes
from tests.checkpoints.layouts import published
from tests.checkpoints.layouts.case import Published, State
from tests.checkpoints.layouts.loading import RELATIVE, inputs, opened, outputs, worst
from tests.checkpoints.layouts.published import ALL

# 13 layers, each of its own size: any other order of them does not even chain, except a reversed one.
WIDENING = tuple(range(2, 16))
NACS = [case for case in ALL if case.stacks and case.eps is None and case.layout != "wassname:NALU_sinh"]


@pytest.mark.parametrize("case", NACS, ids=str)
def test_thirteen_layers(case: Published, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    state, x = case.state(rng, WIDENING), inputs(rng, 2)
    shuffled = dict(sorted(state.items()))
    assert list(shuffled) != list(state)
    checkpoint = opened(shuffled, tmp_path, layout=case.option(WIDENING))
    assert worst(outputs(checkpoint.model, x), case.reference(state, x)) <= RELATIVE


@pytest.mark.parametrize("case", [*published.SHIVAMSABOO17[2:3], *published.NKARASOVD[1:]], ids=str)
def test_thirteen_square_layers_with_gates(case: Published, tmp_path: Path) -> None:
    """Square layers chain in any order, so that values alone tell a wrong one."""
    rng = np.random.default_rng(2)
    state = {key: 0.3 * value for key, value in case.state(rng, (3,) * 14).items()}
    x = rng.uniform(-2.0, 2.0, (8, 3))
    reference = case.reference(state, x)
    assert np.ptp(reference.value.astype(np.float64)) > 1e-3
    checkpoint = opened(dict(sorted(state.items())), tmp_path, layout=case.layout)
    assert worst(outputs(checkpoint.model, x), reference) <= RELATIVE


@pytest.mark.parametrize("start", [1, 2])
def test_a_stack_without_its_first_layers_is_refused(start: int, refusal: Refusal) -> None:
    state = published.SHIVAMSABOO17[0].state(np.random.default_rng(3), (3,) * 5)
    assert "model.0" in refusal(torch_bytes({key: value for key, value in state.items() if int(key[6]) >= start}))


def test_a_stack_with_a_gap_is_refused(refusal: Refusal) -> None:
    state = published.SHIVAMSABOO17[0].state(np.random.default_rng(3), (3,) * 5)
    del state["model.2.W"]
    assert "model.2" in refusal(torch_bytes(state))


@pytest.mark.parametrize("case", [case for case in ALL if case.place == "model.{}."], ids=str)
def test_layers_that_do_not_chain_are_refused(case: Published, refusal: Refusal) -> None:
    rng = np.random.default_rng(4)
    state = case.state(rng, (3, 3, 3))
    state |= {key: value.new_ones(7 if value.dim() == 1 else (7, 7)) for key, value in state.items() if ".1." in key}
    text = refusal(torch_bytes(state), layout=case.option((3, 3, 3)))
    assert "model.1." in text
    assert "7" in text
    assert "3" in text


@pytest.mark.quick(67)
@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_tensor_of_another_shape_is_refused_by_key(case: Published, refusal: Refusal) -> None:
    """Each tensor in turn gets an axis that fits nothing else in the file."""
    state = case.state(np.random.default_rng(5), (3, 3))
    for key, value in state.items():
        text = refusal(torch_bytes(state | {key: torch.ones(*value.shape[:-1], 9, 2)}), layout=case.option((3, 3)))
        assert key in text


@pytest.mark.quick(20)
@pytest.mark.parametrize("case", [case for case in ALL if len(case.keys) > 1], ids=str)
def test_a_missing_tensor_is_never_filled_in(case: Published, tmp_path: Path) -> None:
    """What remains is refused, or is all of another public layout, as W_hat and M_hat are without the stale W."""
    state = case.state(np.random.default_rng(6), (3, 3))
    for key in state:
        less = {name: value for name, value in state.items() if name != key}
        if any(other.layout == case.layout and set(less) == _keys(other) for other in ALL):
            continue  # a variant without the second name of a parameter
        assert not any(_computes_it(case, less, state, tmp_path, layout) for layout in (case.layout, None))


def _keys(case: Published) -> set[str]:
    return {prefix + key for prefix in case.prefixes(1) for key in case.keys}


def _computes_it(case: Published, less: State, state: State, folder: Path, layout: str | None) -> bool:
    x = inputs(np.random.default_rng(7), 3)
    try:
        model = opened(less, folder, layout=layout).model
    except InputError:
        return False
    return worst(outputs(model, x), case.reference(state, x)) <= RELATIVE
