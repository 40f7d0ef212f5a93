import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nalu_export import NALU, InputError, NACCell, NALUCell
from nalu_export.nn.init import INITIALISERS, choose, initialise, positive_int

FAN_IN, FAN_OUT = 60, 40
# Largest absolute value (of a uniform distribution) or standard deviation, from the formulas in the papers.
SPREAD = {
    "kaiming_uniform": math.sqrt(6 / FAN_IN),
    "kaiming_normal": math.sqrt(2 / FAN_IN),
    "xavier_uniform": math.sqrt(6 / (FAN_IN + FAN_OUT)),
}


def test_every_initialiser_has_a_case() -> None:
    assert SPREAD.keys() == INITIALISERS.keys()


@pytest.mark.parametrize("name", SPREAD)
def test_spread(name: str) -> None:
    cell = NACCell(FAN_IN, FAN_OUT, init=name)
    for parameter in (cell.W_hat.detach(), cell.M_hat.detach()):
        found = parameter.abs().max() if name.endswith("uniform") else parameter.std()
        assert float(found) == pytest.approx(SPREAD[name], rel=0.05)
        assert abs(float(parameter.mean())) < 0.05 * SPREAD[name] * 2


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize(
    "make",
    [lambda init: NALUCell(3, 4, tied=False, gate="row", init=init), lambda init: NALU(3, 4, 2, init=init)],
    ids=["cell", "stack"],
)
def test_one_seed_one_result(name: str, make: Callable[[str], torch.nn.Module]) -> None:
    states = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        states.append(make(name).state_dict())
    first, again, other = states
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first)


def test_the_name_chooses_the_distribution() -> None:
    def drawn(init: str) -> Tensor:
        torch.manual_seed(0)
        return NACCell(3, 4, init=init).W_hat

    draws = [drawn(name) for name in INITIALISERS]
    assert not any(torch.equal(draws[i], draws[j]) for i in range(len(draws)) for j in range(i))


def test_parameters_are_filled_in_turn() -> None:
    first, second = torch.empty(3, 3), torch.empty(3, 3)
    initialise("xavier_uniform", first, second)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("init", ["", "kaiming", "Kaiming_Uniform", None, 3, torch.nn.init.kaiming_uniform_])
def test_an_unknown_initialiser_is_refused(init: Any) -> None:
    with pytest.raises(
        InputError, match=r"^init is .*; allowed: 'kaiming_uniform', 'kaiming_normal', 'xavier_uniform'$"
    ):
        NACCell(2, 2, init=init)


@pytest.mark.parametrize("value", [1, 7, 2**40])
def test_positive_int_gives_the_value(value: int) -> None:
    assert positive_int("size", value) == value


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "3", None, [4], float("nan")])
def test_positive_int_names_what_it_got(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        positive_int("size", value)
    assert str(caught.value) == f"size is {value!r}; it must be an integer of at least 1"


@pytest.mark.parametrize("value", ["a", None, True])
def test_choose_gives_the_value(value: Any) -> None:
    assert choose("letter", value, ("a", "b", None, True)) is value


@pytest.mark.parametrize("value", ["c", 1, 0, ["a"], {}, b"a", float("nan")])
def test_choose_does_not_confuse_types(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        choose("letter", value, ("a", None, True, False))
    assert str(caught.value) == f"letter is {value!r}; allowed: 'a', None, True, False"
