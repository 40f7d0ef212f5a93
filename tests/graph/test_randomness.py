"""nalu_export.graph.randomness: a model that draws numbers in eval() is refused by the call that draws them."""

import re
from collections.abc import Callable
from pathlib import PurePath

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU, InputError
from nalu_export.graph.example import Example
from nalu_export.graph.randomness import alike, refuse_random

EXAMPLE = Example.of(torch.rand(3, 4))


class _Net(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.head = function, NALU(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.function(x))
        return y


def _noisy(x: Tensor) -> Tensor:
    return x + torch.randn_like(x)


def _hidden(x: Tensor) -> Tensor:
    if x.dim() == 2:
        return x * torch.bernoulli(torch.full_like(x, 0.5))
    return x


def test_the_call_is_named() -> None:
    here = PurePath(__file__).name
    line = _Net.forward.__code__.co_firstlineno + 1
    for function, call in (
        (lambda x: F.dropout(x, 0.5), "torch.nn.functional.dropout"),
        (_noisy, "torch.randn_like"),
        (lambda x: torch.rand_like(x) * x, "torch.rand_like"),
        # torch.fx cannot follow this one.
        (_hidden, "torch.bernoulli"),
    ):
        text = (
            f"_Net gives different outputs when it runs again: {call} ({here}, line {line}) draws random numbers; it "
            "has to be deterministic in eval()"
        )
        with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
            refuse_random(_Net(function).eval(), EXAMPLE)


def test_a_module_that_is_not_in_eval_mode_is_named() -> None:
    model = nn.Sequential(nn.Dropout(), NALU(4, 2))
    refuse_random(model.eval(), EXAMPLE)
    with pytest.raises(InputError, match=r"^Sequential gives different outputs .*dropout draws random numbers"):
        refuse_random(model.train(), EXAMPLE)


def test_what_cannot_be_followed_is_refused_without_a_name() -> None:
    def values(x: Tensor) -> Tensor:
        return _noisy(x) if float(x.sum()) > 0 else x

    with pytest.raises(InputError, match=r"again: something in its forward draws random numbers"):
        refuse_random(_Net(values).eval(), EXAMPLE)


def test_state_is_seen_too() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * self.calls

    model = Counting()
    with pytest.raises(InputError, match="again: something in its forward depends on what ran before; it has to be"):
        refuse_random(model, EXAMPLE)
    assert model.calls == 0


def test_the_same_to_the_bit() -> None:
    nan = torch.tensor([float("nan"), 1.0])
    assert alike(nan, nan.clone())
    assert not alike(nan, torch.tensor([0.0, 1.0]))
    assert not alike(torch.ones(2), torch.ones(3))
    assert not alike(torch.ones(2), torch.ones(2) + 1e-7)
    assert alike({"a": (nan, [nan])}, {"a": (nan.clone(), [nan.clone()])})
    assert not alike({"a": nan}, {"b": nan})
    assert not alike([nan], [nan, nan])
