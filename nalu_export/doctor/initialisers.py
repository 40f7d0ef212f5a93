"""A test whether raw parameters are still distributed as a public initialiser draws them."""

import math

import torch
from torch import Tensor

# With fewer values in each matrix too many distributions fit, see docs/doctor.md.
FEWEST = 64
# Critical values: one initial matrix in a hundred fails each of the tests below.
_KOLMOGOROV = 1.628
_NORMAL = 2.576
_EDGE = 0.01
# By how much rounding to bfloat16 may change the largest value.
_ROUNDING = 1 + 2**-8


def as_initialised(W_hat: Tensor, M_hat: Tensor) -> list[str]:
    """Return the public initialisers that may have drawn both matrices, independently of each other.

    Training correlates the two matrices: where ``|Ŵ|`` is large M̂ gets the larger gradient.

    Args:
        W_hat: Ŵ as the file holds it: initialisers distinguish rows and columns.
        M_hat: M̂ as the file holds it.
    """
    W, M = W_hat.detach().double(), M_hat.detach().double()
    if W.ndim != 2 or W.shape != M.shape or W.numel() < FEWEST or not bool((W + M).isfinite().all()):
        return []
    if _correlation(W.abs(), M) > _NORMAL:
        return []
    samples = (W.flatten(), M.flatten(), torch.cat([W, M]).flatten())
    uniform, normal = _initialisers(*W.shape)
    fits = [name for name, bound in uniform.items() if all(_is_uniform(values / bound) for values in samples)]
    fits += [name for name, spread in normal.items() if all(_is_normal(values / spread) for values in samples)]
    return fits


def _initialisers(outputs: int, inputs: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the bounds of uniform initialisers, and the standard deviations of normal ones."""
    uniform = {
        "kaiming_uniform": math.sqrt(6 / inputs),
        "kaiming_uniform(a=√5)": math.sqrt(1 / inputs),
        "xavier_uniform": math.sqrt(6 / (inputs + outputs)),
        "the uniform initialiser of stable-nalu": _stable_nalu(inputs + outputs),
    }
    return uniform, {
        "kaiming_normal": math.sqrt(2 / inputs),
        "xavier_normal": math.sqrt(2 / (inputs + outputs)),
    }


def _correlation(one: Tensor, other: Tensor) -> float:
    """Return the correlation in units of its standard deviation under independence; 0 if a matrix is constant."""
    one, other = one - one.mean(), other - other.mean()
    size = float(one.norm() * other.norm())
    return abs(float((one * other).sum())) / size * math.sqrt(one.numel()) if size else 0.0


def _is_uniform(values: Tensor) -> bool:
    """Return whether the values look drawn uniformly from −1..1."""
    largest, count = float(values.abs().max()), values.numel()
    if largest > _ROUNDING or min(_ROUNDING * largest, 1.0) ** count < _EDGE:
        return False
    power = abs(float(values.square().mean()) - 1 / 3) <= _NORMAL * math.sqrt(4 / 45 / count)
    return power and _distance((values + 1) / 2) <= _KOLMOGOROV


def _is_normal(values: Tensor) -> bool:
    """Return whether the values look drawn from the standard normal distribution."""
    power = float(values.square().mean())
    tails = float(values.square().square().mean()) / power**2 if power else 0.0
    if abs(power - 1) > _NORMAL * math.sqrt(2 / values.numel()):
        return False
    # The Kolmogorov-Smirnov test hardly tells it from a uniform distribution of the same variance.
    return (
        abs(tails - 3) <= _NORMAL * math.sqrt(24 / values.numel())
        and _distance((1 + torch.erf(values / math.sqrt(2))) / 2) <= _KOLMOGOROV
    )


def _distance(shares: Tensor) -> float:
    """Return the Kolmogorov-Smirnov distance from uniform on 0..1, scaled so that one limit fits any size.

    Source of the scale: Stephens 1970, Journal of the Royal Statistical Society B 32, 115 to 122.
    """
    ordered, count = shares.sort().values, shares.numel()
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    distance = float(torch.maximum(steps[1:] - ordered, ordered - steps[:-1]).max())
    return distance * (math.sqrt(count) + 0.12 + 0.11 / math.sqrt(count))


def _stable_nalu(features: int) -> float:
    """Return the bound r at which tanh(Ŵ)·σ(M̂) has variance 2/features if Ŵ and M̂ are uniform in ±r."""
    low, high = 1e-6, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        tanh2 = 1 - math.tanh(middle) / middle
        sigmoid2 = (middle - math.tanh(middle / 2)) / (2 * middle)
        low, high = (middle, high) if tanh2 * sigmoid2 < 2 / features else (low, middle)
    return low
