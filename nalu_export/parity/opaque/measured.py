"""Opaque ops without a rule (an LSTM, an attention): the effect of one roundoff, and the error of float32, measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.parity.opaque.allowance import KERNEL
from nalu_export.parity.opaque.call import Call, is_number, over_tensors
from nalu_export.parity.opaque.parametrised import SAFETY, jittered, normal
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.precision import TF32_FACTOR, Precision

JITTERS = 8
# Lower limit of a scale, as a share of the sample's root mean square: a scale may be small by chance.
POOLED = 0.25

# Function names of recurrent layers and of single steps of them; below, the same as modules.
RECURRENT = tuple(f"{kind}{step}" for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu") for step in ("", "_cell"))
# Fused recurrent layers have three gates and a tanh of their own, in several steps. A GRU in tract was off by 8 times
# the error of one kernel.
KERNELS = 12.0 * KERNEL
RECURRENT_MODULES = (nn.RNNBase, nn.RNNCellBase)


class Measurement:
    """Measures the own error of opaque calls: their error with exact inputs.

    The scale ``s`` is the effect of one roundoff in every parameter and input, from :data:`JITTERS` seeded
    perturbations. While :meth:`calibrating`, a call is run in float32 as well, and ``c`` becomes the largest
    ``|float32 − float64|/s`` seen. The error of a later call is at most ``8·c·s``. A call whose float32 result never
    differed rounds nothing (a sort, for example) and is exact.

    Attributes:
        calibrates: whether calls are calibrated now.

    Args:
        singles: returns the module of a call in float32.
    """

    def __init__(self, singles: Callable[[Call], nn.Module | None]) -> None:
        self._singles = singles
        self._factors: dict[str, float] = {}
        self._jittered: dict[str, list[nn.Module]] = {}
        self.calibrates = False

    @contextmanager
    def calibrating(self) -> Iterator[None]:
        """Measure calls in float32 too, within this context."""
        self.calibrates = True
        try:
            yield
        finally:
            self.calibrates = False

    def own(self, call: Call, result: Any, precision: Precision) -> Any:
        """Return the error of each number of the result, which may be a tuple; other objects stay."""
        scale = self._scale(call, result)
        if self.calibrates:
            self._calibrate(call, scale)
        widened = TF32_FACTOR / ROUNDOFF if precision.tf32 else 1.0
        factor = self._factors.get(call.node.name, 1.0)

        kernel = _kernel(call)

        def radius(scaled: Tensor) -> Tensor:
            off = SAFETY * widened * factor * scaled + _like(kernel, scaled)
            return off + precision.tiny * (off > 0)

        return over_tensors([scale], radius)

    def _scale(self, call: Call, result: Any) -> Any:
        generator = torch.Generator().manual_seed(1)

        def jitter(argument: Conditioned) -> Tensor:
            value = argument.value
            # Not ±1: two terms of equal size would cancel in many of the runs, and a search finds inputs where they
            # cancel in all runs.
            return value * (1.0 + ROUNDOFF * normal(value, generator)) if value.is_floating_point() else value

        runs = [call.run(jitter, module) for module in self._modules(call)]
        return over_tensors([result, *runs], _spread)

    def _modules(self, call: Call) -> list[nn.Module] | list[None]:
        """Return copies of the module with every parameter perturbed by about one roundoff."""
        if call.module is None:
            return [None] * JITTERS
        target = str(call.node.target)
        if target not in self._jittered:
            generator = torch.Generator().manual_seed(0)
            self._jittered[target] = [jittered(call.module, generator, normal) for _ in range(JITTERS)]
        return self._jittered[target]

    def _calibrate(self, call: Call, scale: Any) -> None:
        module = self._singles(call)
        wanted = call.run(lambda c: _single(c.value).double() if is_number(c.value) else c.value)
        found = call.run(lambda c: _single(c.value), module)
        over_tensors([wanted, found, scale], lambda *three: self._raise(call, *three))

    def _raise(self, call: Call, wanted: Tensor, found: Tensor, scale: Tensor) -> None:
        # The absolute allowance is subtracted first: divided by a tiny scale it would inflate the factor.
        name, kernel = call.node.name, _kernel(call)
        off = ((found.double() - wanted).abs() - _like(kernel, wanted)).clamp(min=0.0)
        ratio = torch.where(torch.isfinite(off) & (off > 0), off / scale, 0.0)
        largest = float(ratio.max()) if ratio.numel() else 0.0
        before = self._factors.get(name, 0.0)
        self._factors[name] = max(before, max(1.0, largest) if largest or kernel is not None else 0.0)


def _kernel(call: Call) -> Tensor | None:
    """Return the absolute allowance of recurrent layers, for each sample of a step or for all samples of a layer.

    Fused recurrent layers compute σ and tanh with kernels of their own, accurate relative to 1 and not to their result.
    The gates multiply the state that the layer is given, so the allowance grows with the largest state.
    """
    if not isinstance(call.module, RECURRENT_MODULES) and call.name not in RECURRENT:
        return None
    largest = torch.ones(())
    for state in call.at(1):
        # The state of a step is (samples, hidden); that of a layer has the layers as first axis.
        size = state.reach.amax(dim=1) if state.value.ndim == 2 else state.reach.amax()
        largest = torch.maximum(largest.to(size.dtype), size)
    return KERNELS * largest


def _like(kernel: Tensor | None, value: Tensor) -> Tensor | float:
    """Reshape for addition to a value whose first axis is the samples."""
    return 0.0 if kernel is None else kernel.reshape(-1, *[1] * (value.ndim - 1)) if kernel.ndim else kernel


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _spread(result: Tensor, *runs: Tensor) -> Tensor:
    """Return the root mean square of the changes, with a lower limit from the whole sample, plus one rounding."""
    scale = torch.stack([(run - result) ** 2 for run in runs]).mean(dim=0).sqrt()
    return pooled(scale) + ROUNDOFF * result.abs()


def pooled(scale: Tensor) -> Tensor:
    """Return each element, or a share of the root mean square of its sample where that is larger."""
    return torch.maximum(scale, POOLED * root_mean_square(scale))


def root_mean_square(x: Tensor) -> Tensor:
    """Return the root mean square of each sample, broadcastable to ``x``; ``x`` itself if a sample is one number."""
    if x.ndim < 2 or not x.numel():
        return x
    return x.flatten(1).pow(2).mean(dim=1).sqrt().reshape(-1, *[1] * (x.ndim - 1))
