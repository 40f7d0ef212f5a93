"""Whether raw parameters are still distributed as a public initialiser draws them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from nalu_export.doctor.findings import Finding
from nalu_export.doctor.subject import Cell, Subject

# Fewer values in each matrix fit too many distributions, see docs/doctor.md.
FEWEST = 64
# One initial matrix in a hundred fails each of the tests below.
_KOLMOGOROV = 1.628
_NORMAL = 2.576
_EDGE = 0.01
# What rounding to bfloat16 may take from the largest value, or add to it.
_ROUNDING = 1 + 2**-8


def find(subject: Subject) -> Iterator[Finding]:
    """One finding for each layer whose weights are as initialised, all of them."""
    for head in subject.heads:
        for cell in head.cells:
            pairs = _pairs(cell)
            pairs = [pair for pair in pairs if all(key in subject.state for key in pair)]
            names = [as_initialised(*(subject.state[key] for key in pair)) for pair in pairs]
            if pairs and all(names):
                common = [name for name in names[0] if all(name in others for others in names)]
                yield _finding(cell, pairs, common or [name for found in names for name in found])


def as_initialised(W_hat: Tensor, M_hat: Tensor) -> list[str]:
    """Which public initialisers both matrices look drawn by, independently of each other.

    Training moves them together: where ``|Ŵ|`` is large M̂ gets the larger gradient, so that the two are correlated.

    Args:
        W_hat: as the file holds it: initialisers go by rows and columns.
        M_hat: the same.
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


def _pairs(cell: Cell) -> list[tuple[str, str]]:
    """Keys in the file of Ŵ and M̂ of each of its weights."""
    found = [weight.raw(cell.form) for weight in cell.layer.weights]
    return [(cell.key(raw[0]), cell.key(raw[1])) for raw in found if raw is not None]


def _finding(cell: Cell, pairs: list[tuple[str, str]], names: list[str]) -> Finding:
    keys = ", ".join(key for pair in pairs for key in pair)
    return Finding(
        "warning",
        "initial-distribution",
        cell.where,
        f"{keys} are distributed as {' or '.join(dict.fromkeys(names))} draws them.",
        "Either this layer was not trained, or it moved so little that its weights are still those of chance.",
        "Check that the file was saved after training and that its optimizer had these parameters.",
    )


def _initialisers(outputs: int, inputs: int) -> tuple[dict[str, float], dict[str, float]]:
    """Bounds of those that draw uniformly, and deviations of those that draw normally."""
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
    """Correlation in standard deviations of what chance gives; 0 where a matrix is constant."""
    one, other = one - one.mean(), other - other.mean()
    size = float(one.norm() * other.norm())
    return abs(float((one * other).sum())) / size * math.sqrt(one.numel()) if size else 0.0


def _is_uniform(values: Tensor) -> bool:
    """Whether the values look drawn uniformly from −1..1."""
    largest, count = float(values.abs().max()), values.numel()
    if largest > _ROUNDING or min(_ROUNDING * largest, 1.0) ** count < _EDGE:
        return False
    power = abs(float(values.square().mean()) - 1 / 3) <= _NORMAL * math.sqrt(4 / 45 / count)
    return power and _distance((values + 1) / 2) <= _KOLMOGOROV


def _is_normal(values: Tensor) -> bool:
    """Whether the values look drawn from the standard normal distribution."""
    power = float(values.square().mean())
    tails = float(values.square().square().mean()) / power**2 if power else 0.0
    if abs(power - 1) > _NORMAL * math.sqrt(2 / values.numel()):
        return False
    # Kolmogorov and Smirnov's test hardly tells it from a uniform distribution of the same variance.
    return (
        abs(tails - 3) <= _NORMAL * math.sqrt(24 / values.numel())
        and _distance((1 + torch.erf(values / math.sqrt(2))) / 2) <= _KOLMOGOROV
    )


def _distance(shares: Tensor) -> float:
    """Kolmogorov and Smirnov's distance from the uniform distribution on 0..1, scaled so that one limit fits any size.

    Source of the scale: Stephens 1970, Journal of the Royal Statistical Society B 32, 115 to 122.
    """
    ordered, count = shares.sort().values, shares.numel()
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    distance = float(torch.maximum(steps[1:] - ordered, ordered - steps[:-1]).max())
    return distance * (math.sqrt(count) + 0.12 + 0.11 / math.sqrt(count))


def _stable_nalu(features: int) -> float:
    """The bound r at which tanh(Ŵ)·σ(M̂) has variance 2/features when Ŵ and M̂ are uniform in ±r."""
    low, high = 1e-6, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        tanh2 = 1 - math.tanh(middle) / middle
        sigmoid2 = (middle - math.tanh(middle / 2)) / (2 * middle)
        low, high = (middle, high) if tanh2 * sigmoid2 < 2 / features else (low, middle)
    return low
