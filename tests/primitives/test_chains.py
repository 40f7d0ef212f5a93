"""Random formulas of primitives: what float32 gives stays within what their balls say, link after link."""

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nalu_export.primitives import PRIMITIVES, Conditioned
from nalu_export.primitives.operands import signs_of_zeros
from nalu_export.primitives.precision import FLOAT32
from tests.primitives.balls import flushing

UNARY = (
    *("neg", "abs", "sign", "log", "log1p", "exp", "expm1", "tanh", "sigmoid", "sinh", "asinh", "erf", "sqrt", "sin"),
    *("cos", "floor", "ceil", "round", "trunc"),
)
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "pow", "add", "mul")
LITERALS = (1e-10, 1.0, 0.1, 2.0, -0.5, 1e-7, 3.0)
ROWS = ("sum", "mean", "amax", "amin", "prod")
SLACK = 1.0 + 2.0**-20

SEEDS = 60


def inputs(seed: int) -> Tensor:
    """Float32 numbers of every kind that the parity distributions have."""
    generator = torch.Generator().manual_seed(seed)
    moderate = torch.rand(300, 3, generator=generator) * 20 - 10
    wide = torch.sign(moderate) * 10 ** (torch.rand(300, 3, generator=generator) * 14 - 7)
    kind = torch.randint(0, 5, (300, 3), generator=generator)
    landmarks = torch.tensor([0.0, -0.0, 1.0, -1.0, 1e-40, 1e7])[torch.randint(0, 6, (300, 3), generator=generator)]
    return torch.where(kind < 2, moderate, torch.where(kind < 4, wide, landmarks))


def _given(x: Tensor) -> Conditioned:
    value = x.double()
    radius = torch.where(value.abs() < FLOAT32.tiny, value.abs(), 0.0)
    return replace(Conditioned.exact(value, radius), zero=signs_of_zeros(x))


@dataclass(frozen=True)
class Step:
    """One call of a primitive on values that are there."""

    name: str
    operands: tuple[int, ...]
    rest: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}{(*(f'v{operand}' for operand in self.operands), *self.rest)}"


def formula(seed: int) -> list[Step]:
    """One random call behind another; the first value is the input, and each call gives one more."""
    choose = random.Random(seed)
    steps: list[Step] = []
    for count in range(1, 15):
        kind, pair = choose.random(), (choose.randrange(count), choose.randrange(count))
        if kind < 0.45:
            name, literal = choose.choice(BINARY), choose.random() < 0.4
            if literal and name not in ("maximum", "minimum"):
                steps.append(Step(name, pair[:1], (choose.choice(LITERALS),)))
            else:
                steps.append(Step(name, pair))
        elif kind < 0.55:
            steps.append(Step(choose.choice(ROWS), pair[:1], (-1, True)))
        elif kind < 0.6:
            steps.append(Step("clamp", pair[:1], (choose.choice([0.0, 1e-7]), choose.choice([None, 20.0]))))
        elif kind < 0.65:
            steps.append(Step("larger", pair))
        else:
            steps.append(Step(choose.choice(UNARY), pair[:1]))
    return steps


def in_float32(steps: list[Step], x: Tensor) -> list[Tensor]:
    """Every value, as torch computes it."""
    values = [x]
    for step in steps:
        given = [values[operand] for operand in step.operands]
        if step.name == "larger":
            values.append(torch.where(given[0] > given[1], given[0], given[1]))
        else:
            values.append(PRIMITIVES[step.name].function(*given, *step.rest))
    return values


def in_balls(steps: list[Step], x: Tensor) -> list[Conditioned]:
    """Every value, with all that is known of it."""
    values = [_given(x)]
    for step in steps:
        given = [values[operand] for operand in step.operands]
        if step.name == "larger":
            condition = PRIMITIVES["gt"].conditioned(FLOAT32, *given)
            values.append(PRIMITIVES["where"].conditioned(FLOAT32, condition, *given))
        else:
            values.append(PRIMITIVES[step.name].conditioned(FLOAT32, *given, *step.rest))
    return values


def _check(single: Tensor, known: Conditioned, said: str) -> int:
    """How many numbers could be compared."""
    sure = (known.overflow == 0) & (known.lost == 0)
    off = (single.double() - known.value).abs()
    wrong = sure & ~(off <= SLACK * known.radius)
    assert not bool(wrong.any()), (said, single[wrong][:3], known.value[wrong][:3], known.radius[wrong][:3])
    assert bool((single[sure] >= known.least).all()), said
    signed = sure & (known.zero != 0)
    assert bool((torch.signbit(single[signed]) == (known.zero[signed] < 0)).all()), said
    return int(sure.sum())


@pytest.mark.parametrize("flush", [False, True])
def test_every_value_on_the_way_stays_within_its_ball(flush: bool) -> None:
    compared = total = 0
    for seed in range(SEEDS):
        steps, x = formula(seed), inputs(seed)
        if flush:
            with flushing():
                single = in_float32(steps, x)
        else:
            single = in_float32(steps, x)
        for place, (number, known) in enumerate(zip(single, in_balls(steps, x), strict=True)):
            step = str(steps[place - 1]) if place else "input"
            compared += _check(number.expand(known.value.shape), known, f"seed {seed}: v{place} = {step}")
            total += known.value.numel()
    assert compared > 0.3 * total
