"""Square layers may be stored either way round: refused, unless ``--layout`` says which."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nalu_export.checkpoints import layouts
from nalu_export.checkpoints.recognise import recognise
from nalu_export.checkpoints.turning import turned
from tests.checkpoints.conftest import Refusal
from tests.checkpoints.files import torch_bytes
from tests.checkpoints.layouts import published
from tests.checkpoints.layouts.case import Published, State
from tests.checkpoints.layouts.loading import RELATIVE, inputs, opened, outputs, worst
from tests.checkpoints.layouts.published import ALL

TURNED = [case for case in ALL if not case.one_way]
FORKS = {"bharathgs:NALU", "bharathgs-io:NALU", "bharathgs-repaired:NALU"}


def _other_way(case: Published, state: State) -> State:
    """The same layers with each matrix (i, o) for (o, i), but for those of an nn.Linear."""
    linear = ("g.weight", "gate.weight", "transform.weight")
    shapes = {prefix + key: shape for prefix in case.prefixes(2) for key, shape in case.keys.items()}
    return {
        key: value.T.contiguous() if shapes[key] in ("oi", "io") and not key.endswith(linear) else value
        for key, value in state.items()
    }


@pytest.mark.quick(80)
@pytest.mark.parametrize("case", TURNED, ids=str)
def test_a_square_file_is_refused_with_both_ways(case: Published, refusal: Refusal) -> None:
    state = case.state(np.random.default_rng(1), (3, 3))
    text = refusal(torch_bytes(state))
    assert case.layout in text
    # Where another public layout computes what the turned one does, that one is named.
    assert f"{case.layout}-turned" in text or case.rivals or case.layout.startswith("amg")


@pytest.mark.parametrize("case", TURNED, ids=str)
@pytest.mark.parametrize("dims", [(3, 3), (3, 4)], ids=str)
def test_the_turned_layout_computes_the_same_from_turned_matrices(
    case: Published, dims: tuple[int, int], tmp_path: Path
) -> None:
    if case.square and len(set(dims)) > 1:
        return
    rng = np.random.default_rng(2)
    state, x = case.state(rng, dims), inputs(rng, dims[0])
    checkpoint = opened(_other_way(case, state), tmp_path, layout=f"{case.layout}-turned")
    assert checkpoint.layout == f"{case.layout}-turned"
    assert worst(outputs(checkpoint.model, x), case.reference(state, x)) <= RELATIVE


@pytest.mark.parametrize("case", [case for case in TURNED if not case.rivals], ids=str)
def test_one_by_one_is_the_same_either_way(case: Published) -> None:
    if case.layout not in FORKS | {"kevinzakka:NALU", "nilabhra:NALU", "arthurdouillard:NALU", "snalu:NALU"}:
        assert recognise(case.state(np.random.default_rng(3), (1, 1))).decided_by == "shapes"


def test_what_decided_is_told() -> None:
    case = next(case for case in ALL if case.layout == "kevinzakka:NALU")
    rng = np.random.default_rng(4)
    chain, lone, square = (case.state(rng, dims) for dims in ((2, 16, 1), (3, 4), (3, 3)))
    assert recognise(chain).decided_by == "shapes"
    assert recognise(lone).decided_by == "names"
    assert recognise(lone, "kevinzakka").decided_by == "layout"
    assert recognise(square, "kevinzakka").decided_by == "layout"
    assert recognise(square, "kevinzakka:nalu-turned").decided_by == "layout"
    exact = next(case for case in ALL if case.layout == "wassname:NAC_exact")
    assert recognise(exact.state(rng, (3, 3))).decided_by == "shapes"


def test_the_text_is_complete(refusal: Refusal) -> None:
    case = next(case for case in ALL if case.layout == "kevinzakka:NALU")
    assert refusal(torch_bytes(case.state(np.random.default_rng(5), (3, 3)))) == (
        "has 'model.0.G', 'model.0.nac.W_hat', 'model.0.nac.M_hat', which fit several layouts that compute different "
        "functions: kevinzakka:NALU (3 → 3), kevinzakka:NALU-turned (3 → 3); say which with layout='OWNER:UNIT' "
        "(-turned: its matrices are stored transposed), or give its code: model='FILE.py:NAME'"
    )


def test_forks_with_the_keys_of_bharathgs(refusal: Refusal) -> None:
    """All candidates and no other; oblong files tell the forks apart."""
    square = {key: torch.eye(3) for key in ("G", "nac.W_", "nac.M_")}
    text = refusal(torch_bytes(square))
    found = {word.strip(",;") for word in text.split() if word.startswith("bharathgs")}
    assert found == FORKS | {f"{layout}-turned" for layout in FORKS}
    assert all(other.split(":")[0] not in text for other in ("kevinzakka:", "nalu-export:"))
    oblong = square | {key: torch.ones(4, 3) for key in square}
    assert recognise(oblong).names == ("bharathgs-repaired:NALU",)
    assert recognise(oblong | {key: torch.ones(3, 4) for key in ("nac.W_", "nac.M_")}).names == ("bharathgs-io:NALU",)


def test_each_candidate_has_numbers_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    state, x = published.BHARATHGS[1].state(rng, (3, 3)), inputs(rng, 3)
    found = []
    for layout in sorted(FORKS):
        case = next(case for case in ALL if case.layout == layout and case.place == "")
        found.append(outputs(opened(state, tmp_path, layout=layout).model, x))
        assert worst(found[-1], case.reference(state, x)) <= RELATIVE
        found.append(outputs(opened(state, tmp_path, layout=f"{layout}-turned").model, x))
    assert all(not np.allclose(one, other) for k, one in enumerate(found) for other in found[:k])


def test_an_owner_alone_is_the_usual_way(tmp_path: Path) -> None:
    case = next(case for case in ALL if case.layout == "shivamsaboo17:NALU")
    state = case.state(np.random.default_rng(7), (3, 3, 3))
    assert opened(state, tmp_path, layout="shivamsaboo17").layout == "shivamsaboo17:NALU"


def test_twice_turned_is_the_layout_itself() -> None:
    for owner in layouts.names():
        for unit in layouts.get(owner).units:
            twin = turned(unit)
            if twin is not None:
                again = turned(twin)
                assert again is not None
                assert again.keys == unit.keys


def test_a_unit_that_is_not_read_has_no_twin(refusal: Refusal) -> None:
    text = refusal(torch_bytes({"W": torch.eye(3)}), layout="johnlrr:NAU-turned")
    assert text.startswith("layout is 'johnlrr:NAU-turned'; allowed: johnlrr:NAC, ")
    assert "johnlrr:NAC-turned" in text
