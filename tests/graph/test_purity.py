"""nalu_export.graph.purity: a model in which the samples of a batch meet is refused by the call where they do."""

import re
from collections.abc import Callable
from pathlib import PurePath

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU, InputError
from nalu_export.graph import refuse_mixing
from nalu_export.inputs.example import SAMPLES
from tests.captured import graph_of

HERE = PurePath(__file__).name


class _Net(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], features: int = 4) -> None:
        super().__init__()
        self.function, self.head = function, NALU(features, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.function(x))
        return y


def test_the_call_is_named() -> None:
    line = _Net.forward.__code__.co_firstlineno + 1
    for function, call in (
        (lambda x: x - x.mean(0), "sub"),
        (lambda x: x - x.mean(dim=0, keepdim=True), "sub"),
        (lambda x: x / x.abs().amax(), "truediv"),
        (lambda x: torch.cumsum(x, 0), "torch.cumsum"),
        (lambda x: x.flip(0), "Tensor.flip"),
        (lambda x: torch.softmax(x, dim=0), "torch.softmax"),
        (lambda x: (x @ x.T) @ x, "matmul"),
    ):
        with pytest.raises(InputError) as caught:
            refuse_mixing(graph_of(_Net(function).eval(), (4,)))
        text = str(caught.value)
        assert text.startswith("_Net does not treat each sample separately: "), text
        assert f"{call} ({HERE}, line {line}) mixes the samples of a batch; in eval() the output of" in text, text


def test_a_norm_without_running_statistics_is_named_by_its_path() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), NALU(4, 2)).eval()
    with pytest.raises(InputError, match=r"separately: BatchNorm1d 0 mixes the samples of a batch"):
        refuse_mixing(graph_of(model, (4,)))


def test_what_is_fixed_to_a_place_in_the_batch_is_refused() -> None:
    for function in (
        lambda x: x * torch.arange(1.0, 4.0).reshape(SAMPLES, 1),
        lambda x: x[:1] + x * 0.0,
    ):
        with pytest.raises(InputError, match="does not treat each sample separately"):
            refuse_mixing(graph_of(_Net(function).eval(), (4,)))


def test_a_batch_of_one_has_to_give_the_same() -> None:
    with pytest.raises(InputError, match="a sample gives a different output alone than in a batch"):
        refuse_mixing(graph_of(_Net(_for_one).eval(), (4,)))


def _for_one(x: Tensor) -> Tensor:
    """There is one number, 0/0, where there are no other samples."""
    count = (x * 0.0 + 1.0).sum(0, keepdim=True) - 1.0
    return x + torch.nan_to_num(count / count, nan=3.0)


def test_time_that_comes_first_inside_is_no_batch() -> None:
    """As many steps as samples: axis 0 of what is inside is time."""

    def steps(x: Tensor) -> Tensor:
        by_time = x.transpose(0, 1)
        total = by_time.cumsum(0)
        return total[-1] + by_time.amax(0)

    graph = graph_of(_Net(steps).eval(), (SAMPLES, 4))
    refuse_mixing(graph)

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 5), NALU(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            h, _ = self.rnn(x.transpose(0, 1))
            y: Tensor = self.head(h[-1])
            return y

    refuse_mixing(graph_of(Recurrent().eval(), (SAMPLES, 4)))


def test_what_treats_each_sample_alone_passes() -> None:
    for function in (
        lambda x: x - x.mean(1, keepdim=True),
        lambda x: torch.softmax(x, dim=1),
        lambda x: x / x.norm(dim=1, keepdim=True),
        lambda x: (x.unsqueeze(2) @ x.unsqueeze(1)).sum(2),
        # Exponents of both signs: what is tiny may differ by more of itself.
        lambda x: torch.exp(50.0 * (x - 0.5)),
    ):
        refuse_mixing(graph_of(_Net(function).eval(), (4,)))


def test_a_module_that_makes_float32_tensors_is_looked_at_in_float32() -> None:
    refuse_mixing(graph_of(_Net(lambda x: x @ torch.eye(4)).eval(), (4,)))
    with pytest.raises(InputError, match=re.escape("mixes the samples of a batch")):
        refuse_mixing(graph_of(_Net(lambda x: (x - x.mean(0)) @ torch.eye(4)).eval(), (4,)))
