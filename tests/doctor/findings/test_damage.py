import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from nalu_export import build_head
from nalu_export.doctor import diagnose
from tests.checkpoints.layouts.published import ARTHURDOUILLARD
from tests.doctor.cases import HEALTHY, codes, faux, has, nac, only, written

NAN, INF = float("nan"), float("inf")
DO = (
    "Find the step at which training diverged, and use a checkpoint from before it. Cells whose first weights are "
    "uninitialised memory may hold such values from the start."
)


def test_a_weight_that_is_no_number() -> None:
    model = copy.deepcopy(HEALTHY)
    with torch.no_grad():
        model.layers[0].W_hat[1, 1:] = torch.tensor([NAN, -INF])  # type: ignore[operator]
    found = diagnose(model)
    assert codes(found) == [("error", "non-finite", "layers.0.W_hat")]
    (finding,) = found.findings
    assert finding.what == "1 NaN and 1 infinite of 6 values; the first is at [1, 1]."
    assert finding.effect == "1 of 1 outputs is NaN or infinite for every input."
    assert finding.remedy == DO


def test_some_outputs_are_lost() -> None:
    model = nac([[1.0], [1.0], [1.0]])
    with torch.no_grad():
        model.layers[0].W_hat[1:] = NAN  # type: ignore[operator]
    assert only(model, "non-finite").effect == "2 of 3 outputs are NaN or infinite for every input."


def test_an_infinite_raw_parameter_computes() -> None:
    model = nac([[1.0, -1.0]])
    with torch.no_grad():
        model.layers[0].W_hat.mul_(INF)  # type: ignore[operator]
    finding = only(model, "non-finite")
    assert finding.what == "2 infinite of 2 values; the first is at [0, 0]."
    assert finding.effect == (
        "No output is NaN or infinite for every input of 0.1..1, because tanh and σ of infinity are "
        "finite. Training can no longer change the parameter."
    )


def test_a_parameter_that_nothing_reads(tmp_path: Path) -> None:
    state = faux(torch.eye(2), torch.full((2, 2), NAN), torch.zeros(2, 2))
    finding = only(written(state, tmp_path), "non-finite", layout="kevinzakka:fauxNAC")
    assert (finding.level, finding.where) == ("info", "model.0.W_hat")
    assert finding.what == "4 NaN of 4 values; the first is at [0, 0]."
    assert finding.effect == "The model does not read this parameter, so no output depends on it."
    assert finding.remedy == "Nothing to do."


def test_a_backbone() -> None:
    model = build_head(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), 2, [1], "regression", 1, "NAC")
    with torch.no_grad():
        model.get_buffer("backbone.1.running_var").fill_(NAN)
    finding = only(model, "non-finite")
    assert (finding.level, finding.where) == ("error", "backbone.1.running_var")
    assert finding.effect == "Values that are computed from it are NaN or infinite too."


@pytest.mark.parametrize("model", [HEALTHY, nn.BatchNorm2d(2)])
def test_numbers(model: nn.Module) -> None:
    assert not has(model, "non-finite")


STATE = ARTHURDOUILLARD[1]


def twice(**changes: float | torch.dtype) -> dict[str, torch.Tensor]:
    import numpy as np

    state = STATE.state(np.random.default_rng(0), (2, 3))
    for key, change in changes.items():
        if isinstance(change, torch.dtype):
            state[f"_nac_stack.0.{key}"] = state[f"_nac_stack.0.{key}"].to(change)
        else:
            state[f"_nac_stack.0.{key}"] = state[f"_nac_stack.0.{key}"].clone()
            state[f"_nac_stack.0.{key}"][1, 1:] += change
    return state


def test_two_names_that_disagree(tmp_path: Path) -> None:
    found = diagnose(written(twice(W_hat=0.25), tmp_path))
    assert codes(found)[0] == ("error", "aliases-disagree", "_nac_stack.0.W_hat")
    assert found.layout == "arthurdouillard:NAC"
    finding = found.findings[0]
    assert finding.what == (
        "_nac_stack.0.W_hat and _nac_stack.0._W_hat are two names of one parameter, but 2 of 6 "
        "values differ by up to 0.25, the first at [1, 1]."
    )
    assert finding.effect == (
        "The original code keeps the value that it loads last, that of _nac_stack.0.W_hat. Every other command of "
        "nalu-export refuses the file. The other findings about this layer are about _nac_stack.0._W_hat."
    )
    assert finding.remedy == (
        "Remove the one that was not trained from the file, or write the trained one under both names."
    )


def test_two_names_of_two_types(tmp_path: Path) -> None:
    finding = only(written(twice(M_hat=torch.float64), tmp_path), "aliases-disagree")
    assert (
        finding.what == "_nac_stack.0.M_hat and _nac_stack.0._M_hat are two names of one parameter, but one is "
        "float64 and the other float32."
    )


def test_one_of_two_is_no_number(tmp_path: Path) -> None:
    """It is said once: that they disagree."""
    found = diagnose(written(twice(W_hat=NAN), tmp_path))
    assert [finding.code for finding in found.findings if finding.level == "error"] == ["aliases-disagree"]
    assert found.findings[0].what.endswith("but 2 of 6 values differ, the first at [1, 1].")


def test_two_names_that_agree(tmp_path: Path) -> None:
    assert not has(written(twice(), tmp_path), "aliases-disagree")
