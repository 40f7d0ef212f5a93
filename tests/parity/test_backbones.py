"""Right evaluations of backbones are never refused, and faults in them are seen: hundreds of them, made at random."""

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from nalu_export.modules.copying import copied
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.inputs import DISTRIBUTIONS
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Profile
from tests.alone import analysed
from tests.captured import graph_of
from tests.parity.backbones import Backbone, Other, make

COUNT = 320
PLANTED = 60
DRAWN = ("0.1..1", "1e3..1e4", "-10..10", "zeros", "mixed 1e±7", "tiny")
Ratios = dict[str, float]


def _inputs(backbone: Backbone, seed: int) -> Tensor:
    """A sample of each of some input distributions, one that is alike everywhere, and one of zeros."""
    rng = torch.Generator().manual_seed(seed)
    drawn = [DISTRIBUTIONS[name](rng, (2, *backbone.shape))[1:].float() for name in DRAWN]
    alike = torch.rand(1, backbone.shape[0], *[1] * (len(backbone.shape) - 1), generator=rng).expand(1, *backbone.shape)
    return torch.cat([*drawn, alike, torch.zeros(1, *backbone.shape)])


@contextmanager
def _without_onednn() -> Iterator[None]:
    """Convolutions by matrix products, on one thread more. NNPACK is left out: it transforms tiles (docs/parity.md)."""
    threads = torch.get_num_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about TF32 of GPUs that are not there
        with torch.backends.mkldnn.flags(enabled=False), torch.backends.nnpack.flags(enabled=False):
            torch.set_num_threads(threads + 1)
            try:
                yield
            finally:
                torch.set_num_threads(threads)


def _evaluations(module: nn.Module, x: Tensor, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Correct float32 evaluations that have little in common."""
    yield "as it is", module(x)
    yield "each sample alone", torch.cat([module(sample[None]) for sample in x[::3]])
    if x.ndim == 4:
        yield "channels last", module(x.contiguous(memory_format=torch.channels_last))
    with _without_onednn():
        yield "without oneDNN", module(x)
    yield "another implementation", Other(fx.symbolic_trace(module), seed).run(x)


def _expected(module: nn.Module, x: Tensor) -> tuple[Conditioned, Tensor]:
    """What is known of the features, and where something is."""
    graph_module = copied(graph_of(module, tuple(x.shape[1:])).flat).double()
    found = analysed(ErrorAnalysis(graph_module), x.double(), Profile())
    known = (found.lost == 0) & (found.overflow == 0) & torch.isfinite(found.value)
    return found, known.expand(found.value.shape)


def _ratio(out: Tensor, found: Conditioned, known: Tensor, rows: slice = slice(None)) -> float:
    """Largest error over its bound, of some of the samples."""
    off = (out.double() - found.value[rows]).abs()
    share = torch.where(known[rows] & (off > 0), off / found.radius.expand(found.value.shape)[rows], 0.0)
    return float(torch.where(torch.isnan(off) & known[rows], math.inf, share).max())


@pytest.mark.slow
@torch.no_grad()
def test_no_right_evaluation_is_refused() -> None:
    worst: Ratios = {}
    known_outputs = outputs = 0
    for seed in range(COUNT):
        backbone = make(seed)
        x = _inputs(backbone, seed)
        found, known = _expected(backbone.module, x)
        known_outputs, outputs = known_outputs + int(known.sum()), outputs + known.numel()
        if seed % 8 == 0:
            wanted = copy.deepcopy(backbone.module).double()(x.double())
            torch.testing.assert_close(found.value, wanted, rtol=1e-12, atol=0, equal_nan=True)
        for name, out in _evaluations(backbone.module, x, seed):
            rows = slice(None, None, 3) if name == "each sample alone" else slice(None)
            ratio = _ratio(out, found, known, rows)
            assert ratio <= 1.0, f"backbone {seed}: {name} is off by {ratio:.3g} times the bound"
            worst[name] = max(worst.get(name, 0.0), ratio)
    # A bound that nothing comes near to would say nothing.
    assert min(worst["as it is"], worst["another implementation"]) > 0.2, worst
    assert known_outputs > 0.95 * outputs


def _layers(module: nn.Module, kinds: tuple[type, ...]) -> list[Any]:
    return [layer for layer in module.modules() if isinstance(layer, kinds)]


def _plain(module: nn.Module) -> list[Any]:
    """Convolutions and linear layers whose weight is a parameter."""
    found = _layers(module, (nn.modules.conv._ConvNd, nn.Linear))
    return [layer for layer in found if "weight" in layer._parameters]


def _scaled(module: nn.Module) -> bool:
    """A weight off by 2⁻¹²."""
    for layer in _plain(module)[:1]:
        layer.weight.mul_(1 + 2**-12)
    return bool(_plain(module))


def _in_half(module: nn.Module) -> bool:
    """A weight that was stored in float16."""
    for layer in _plain(module)[:1]:
        layer.weight.copy_(layer.weight.half())
    return bool(_plain(module))


def _one_weight(module: nn.Module) -> bool:
    """The largest weight of the last layer off by 2⁻¹⁰."""
    for layer in _plain(module)[-1:]:
        weight = layer.weight.view(-1)
        weight[weight.abs().argmax()] *= 1 + 2**-10
    return bool(_plain(module))


def _without_bias(module: nn.Module) -> bool:
    layers = [layer for layer in _plain(module) if layer.bias is not None]
    for layer in layers[:1]:
        layer.bias.zero_()
    return bool(layers)


def _swapped(module: nn.Module) -> bool:
    """Two channels in each other's place."""
    layers = [layer for layer in _plain(module) if len(layer.weight) > 1]
    for layer in layers[:1]:
        weight = layer.weight
        weight[[0, 1]] = weight[[1, 0]].clone()
    return bool(layers)


def _other_eps(module: nn.Module) -> bool:
    """The eps of another framework in every norm."""
    layers = _layers(module, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm))
    for layer in layers:
        layer.eps = 1e-3
    return bool(layers)


# The least share of backbones in which eight samples show a fault. A bound that was measured for each backbone as a
# whole saw 0.67, 0.70, 0.77, 0.79, 0.86 and 0.83 of them, and refused the other implementation in 8 of 60.
FAULTS: dict[Callable[[nn.Module], bool], float] = {
    _scaled: 0.6, _in_half: 0.69, _one_weight: 0.77, _without_bias: 0.79, _swapped: 0.86, _other_eps: 0.83,
}  # fmt: skip


@pytest.mark.slow
@torch.no_grad()
def test_faults_are_seen_as_far_as_they_were() -> None:
    seen: dict[str, list[bool]] = {}
    for seed in range(PLANTED):
        backbone = make(seed)
        x = _inputs(backbone, seed)
        found, known = _expected(backbone.module, x)
        for plant in FAULTS:
            wrong = copy.deepcopy(backbone.module)
            if plant(wrong):
                seen.setdefault(plant.__name__, []).append(_ratio(wrong(x), found, known) > 1.0)
    for plant, least in FAULTS.items():
        shares = seen[plant.__name__]
        assert sum(shares) >= least * len(shares), f"{plant.__name__}: {sum(shares)} of {len(shares)}"
