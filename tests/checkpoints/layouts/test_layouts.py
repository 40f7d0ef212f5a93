"""Every public layout is recognised from its keys and shapes and computes what its implementation computes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nalu_export import InputError, load
from tests.checkpoints.conftest import Refusal
from tests.checkpoints.files import torch_bytes
from tests.checkpoints.layouts import published
from tests.checkpoints.layouts.case import Published
from tests.checkpoints.layouts.loading import RELATIVE, inputs, opened, outputs, worst, written
from tests.checkpoints.layouts.published import ALL

Dims = tuple[int, ...]

CELLS: list[Dims] = [(3, 4), (4, 3), (2, 1), (1, 3), (3, 3)]
STACKS: list[Dims] = [(3, 4, 2), (2, 3, 4, 2), (3, 3, 3), (4, 1, 3)]


def shapes_of(case: Published) -> list[Dims]:
    """Sizes that the original runs with, and that tell the layout."""
    found = CELLS + (STACKS if case.stacks else [])
    return [dims for dims in found if len(set(dims)) == 1 or not case.square]


CASES = [pytest.param(case, dims, id=f"{case} {dims}") for case in ALL for dims in shapes_of(case)]


@pytest.mark.quick(99)
@pytest.mark.parametrize(("case", "dims"), CASES)
def test_computes_what_its_implementation_computes(case: Published, dims: Dims, tmp_path: Path) -> None:
    rng = np.random.default_rng(sum(dims))
    state, x = case.state(rng, dims), inputs(rng, dims[0])
    checkpoint = opened(state, tmp_path, layout=case.option(dims))
    assert checkpoint.layout in {case.layout, *case.same}
    assert worst(outputs(checkpoint.model, x), case.reference(state, x)) <= RELATIVE


@pytest.mark.quick(199)
@pytest.mark.parametrize("case", ALL, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_weights_keep_the_precision_of_the_file(case: Published, dtype: torch.dtype, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    dims = (3, 3)
    state, x = case.state(rng, dims, dtype), inputs(rng, 3)
    checkpoint = opened(state, tmp_path, layout=case.option(dims))
    assert {value.dtype for value in checkpoint.model.state_dict().values()} == {dtype}
    assert worst(outputs(checkpoint.model, x), case.reference(state, x)) <= RELATIVE


@pytest.mark.parametrize("case", ALL, ids=str)
def test_the_order_of_the_keys_tells_nothing(case: Published, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    dims = (3, 3, 3) if case.stacks else (3, 3)
    state, x = case.state(rng, dims), inputs(rng, 3)
    checkpoint = opened(dict(reversed(state.items())), tmp_path, layout=case.option(dims))
    assert worst(outputs(checkpoint.model, x), case.reference(state, x)) <= RELATIVE


@pytest.mark.parametrize("case", [case for case in ALL if case.eps], ids=str)
def test_eps_can_be_given(case: Published, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    state, x = case.state(rng, (3, 3)), inputs(rng, 3)
    checkpoint = opened(state, tmp_path, layout=case.option((3, 3)), eps=1e-3)
    assert worst(outputs(checkpoint.model, x), case.reference(state, x, eps=1e-3)) <= RELATIVE


@pytest.mark.parametrize("case", [case for case in ALL if case.eps is None], ids=str)
def test_eps_is_refused_where_a_formula_has_none(case: Published, refusal: Refusal) -> None:
    state = case.state(np.random.default_rng(8), (3, 3))
    text = refusal(torch_bytes(state), layout=case.layout, eps=1e-3)
    assert text == f"is {case.layout}, which has no eps; leave eps out"


# Their weights are meant to be what is stored.
BY_INTENT = ("raw:NALU", "stable-nalu:LinearNAC")


@pytest.mark.parametrize("case", ALL, ids=str)
def test_strict_refuses_every_faux_nac_and_nothing_else(case: Published, tmp_path: Path) -> None:
    state = case.state(np.random.default_rng(14), (3, 3))
    stated = {"layout": case.option((3, 3)) or case.layout, "eps": None if "eps" in case.keys else case.eps}
    if not case.faux or case.layout in BY_INTENT:
        assert opened(state, tmp_path, **stated, strict=True).assumptions == ()
        return
    with pytest.raises(InputError, match=r"is a faux NAC: .* computes with a stored W"):
        opened(state, tmp_path, **stated, strict=True)


@pytest.mark.parametrize("case", [case for case in ALL if case.stacks and "model" in case.place], ids=str)
@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "net.", "module._orig_mod.net."])
def test_prefixes_of_wrappers_are_seen_through(case: Published, wrapper: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    state, x = case.state(rng, (3, 3, 3)), inputs(rng, 3)
    checkpoint = opened({wrapper + key: value for key, value in state.items()}, tmp_path, layout=case.option((3, 3, 3)))
    assert checkpoint.layout in {case.layout, *case.same}
    assert worst(outputs(checkpoint.model, x), case.reference(state, x)) <= RELATIVE


@pytest.mark.parametrize("owner", ["nkarasovd", "simkir00"])
def test_a_head_inside_a_language_model(owner: str, tmp_path: Path) -> None:
    """nkarasovd, language_models/model.py: ``embedding.weight`` and a NALU under ``final.``."""
    case = next(case for case in ALL if case.layout == f"{owner}:NALU")
    rng = np.random.default_rng(10)
    state, x = case.state(rng, (4, 1)), inputs(rng, 4)
    whole = {"embedding.weight": torch.zeros(33, 2)} | {f"final.{key}": value for key, value in state.items()}
    checkpoint = opened(whole, tmp_path, prefix="final.")
    assert checkpoint.layout == f"{owner}:NALU"
    assert worst(outputs(checkpoint.model, x), case.reference(state, x)) <= RELATIVE


def test_load_gives_the_same_model(tmp_path: Path) -> None:
    case = published.SHIVAMSABOO17[2]
    rng = np.random.default_rng(11)
    state, x = case.state(rng, (3, 4, 2)), inputs(rng, 3)
    model = load(written(state, tmp_path), layout="shivamsaboo17")
    assert not model.training
    assert worst(outputs(model, x), case.reference(state, x)) <= RELATIVE


def test_the_owner_alone_is_enough_where_the_owner_has_one_such_layout(tmp_path: Path) -> None:
    for case in ALL:
        if case.rivals and not case.layout.startswith(("stable-nalu:", "johnlrr:", "nac-a-m:")):
            state = case.state(np.random.default_rng(12), (3, 3))
            assert opened(state, tmp_path, layout=case.layout.split(":")[0]).layout == case.layout


BROKEN: dict[str, tuple[Published, Dims, dict[str, Any]]] = {
    # NaluCell(3, 4) builds NacCell(4, 3), whose forward raises
    "bharathgs, not square": (published.BHARATHGS[2], (3, 3), {"model.0.G": torch.ones(4, 2)}),
    # 8c011fc swaps the sizes of each cell, so that no two of them fit
    "shivamsaboo17 8c011fc": (published.SHIVAMSABOO17[0], (3, 4, 2), {"model.1.W": torch.ones(4, 2)}),
    "aliases that disagree": (published.ARTHURDOUILLARD[1], (3, 4), {"_nac_stack.0.W_hat": torch.ones(3, 4)}),
    "gates that disagree": (published.ARTHURDOUILLARD[3], (3, 4), {"_nalu_stack.0.G": torch.ones(3, 1)}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_never_ran_are_refused_by_key(name: str, refusal: Refusal) -> None:
    case, dims, wrong = BROKEN[name]
    state = case.state(np.random.default_rng(13), dims)
    (key,) = wrong
    assert key in state
    assert key in refusal(torch_bytes(state | wrong))


def test_kevinzakka_of_the_first_night_is_refused(refusal: Refusal) -> None:
    """6ff9ff9 kept the additive W as a tensor that no file holds, so the function is lost; no other has its keys."""
    keys = ("G", "W", "nac.W_hat", "nac.M_hat")
    assert "nac.W" in refusal(torch_bytes({key: torch.ones(4, 3) for key in keys}))


def test_nan_and_zero_are_not_one_parameter(refusal: Refusal, tmp_path: Path) -> None:
    case = published.ARTHURDOUILLARD[1]
    state = {key: value.clone() for key, value in case.state(np.random.default_rng(14), (3, 4)).items()}
    for key in state:
        state[key][0, 0] = float("nan")
    assert opened(state, tmp_path).layout == case.layout
    (tmp_path / "model.pt").unlink()
    state["_nac_stack.0.W_hat"][0, 0] = 0.0
    assert "'_nac_stack.0.W_hat'" in refusal(torch_bytes(state))
