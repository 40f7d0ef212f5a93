"""Integers and truth values that opaque ops compute from floats: an argmax, the order of a sort, a comparison."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nalu_export.parity.opaque.call import Call
from nalu_export.primitives.conditioned import Conditioned

# Pairs of evaluations with every number off by its whole radius, up or down at random; the second of a pair has all
# signs inverted. Two numbers whose order decides move towards each other in one of a pair with probability 1/2.
PAIRS = 16


def decided(call: Call, result: Any) -> Any:
    """Mark the integers and truth values of a result that a correct evaluation may give otherwise.

    Args:
        call: the call that gave the result.
        result: conditioned numbers and plain integers, in nested tuples.
    """
    if not _wholes(result) or not any(bool((c.radius > 0).any() | (c.lost > 0).any()) for c in call.inputs):
        return result
    found = _wholes(result)
    wrong = [torch.zeros(whole.shape, dtype=torch.bool) for whole in found]
    for number in range(2 * PAIRS):
        for place, other in enumerate(_wholes(call.run(_moved(number)))):
            wrong[place] |= other != found[place]
    waiting = iter(wrong)
    return over_whole(result, lambda whole: undecided_at(whole, next(waiting)))


def undecided_at(whole: Tensor, places: Tensor) -> Any:
    """Return integers or truth values as conditioned values, undecided at some places; unchanged if at none."""
    if not bool(places.any()):
        return whole
    if whole.dtype == torch.bool:
        return Conditioned.exact(whole.double(), places.double())
    known = Conditioned.exact(whole.double(), torch.where(places, torch.inf, 0.0).double())
    return replace(known, lost=places.to(torch.int8))


def over_whole(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Apply ``change`` to each plain tensor of integers or truth values in nested tuples; keep other objects."""
    if isinstance(value, (tuple, list)):
        return tuple(over_whole(part, change) for part in value) if _wholes(value) else value
    return change(value) if _is_whole(value) else value


def _wholes(value: Any) -> list[Tensor]:
    if isinstance(value, (tuple, list)):
        return [found for part in value for found in _wholes(part)]
    return [value] if _is_whole(value) else []


def _is_whole(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.is_floating_point()


def _moved(number: int) -> Callable[[Conditioned], Tensor]:
    rng = torch.Generator().manual_seed(number // 2)
    turn = 1.0 - 2.0 * (number % 2)

    def move(c: Conditioned) -> Tensor:
        signs = torch.randint(0, 2, c.value.shape[1:], generator=rng) * 2.0 - 1.0
        return c.value + turn * signs * torch.where(c.lost > 0, torch.inf, c.radius)

    return move
