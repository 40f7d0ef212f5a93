"""Whether raw parameters are still distributed as a public initialiser draws them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from nalu_export.doctor.findings import Finding
from nalu_export.doctor.subject import Cell, Subject

# Fewer values fit too many distributions.
FEWEST = 30
# One initial matrix in a hundred fails each of the tests below.
_KOLMOGOROV = 1.628
_NORMAL = 2.576
_EDGE = 0.01
# What rounding to bfloat16 may add to the largest value.
_ROUNDING = 1 + 2**-8


def find(subject: Subject) -> Iterator[Finding]:
    """One finding for each layer whose weights, Ŵ and M̂ alike, are as initialised."""
    for head in subject.heads:
        for cell in head.cells:
            found = [names for pair in _pairs(cell) if (names := as_initialised(*_values(subject, pair)))]
            if found and len(found) == len(_pairs(cell)):
                yield _finding(cell, found)


def as_initialised(*matrices: Tensor) -> str | None:
    """Which initialiser all of the matrices look drawn by; ``None`` where one does not, or is too small to say.

    Args:
        *matrices: as the file holds them, rows first: initialisers go by their shape.
    """
    names = [_initialiser(matrix.detach().double()) for matrix in matrices]
    return None if None in names else " and ".join(dict.fromkeys(map(str, names)))


def _pairs(cell: Cell) -> list[list[str]]:
    """Keys in the file of Ŵ and M̂ of each of its weights."""
    suffixes = [own.removeprefix("W_hat") for own in cell.keys if own.startswith("W_hat")]
    return [
        [cell.keys[f"{raw}{suffix}"] for raw in ("W_hat", "M_hat") if f"{raw}{suffix}" in cell.keys]
        for suffix in suffixes
    ]


def _values(subject: Subject, keys: list[str]) -> list[Tensor]:
    return [subject.state[key] for key in keys]


def _finding(cell: Cell, found: list[str]) -> Finding:
    keys = ", ".join(key for pair in _pairs(cell) for key in pair)
    return Finding(
        "warning",
        "initial-distribution",
        cell.where,
        f"{keys} are distributed as {' and '.join(dict.fromkeys(found))} draws them.",
        "Either this layer was not trained, or it moved so little that its weights are still those of chance.",
        "Check that the file was saved after training and that its optimizer had these parameters.",
    )


def _initialiser(values: Tensor) -> str | None:
    if values.ndim != 2 or values.numel() < FEWEST or not bool(values.isfinite().all()):
        return None
    outputs, inputs = values.shape
    flat = values.flatten()
    uniform = {
        "kaiming_uniform": math.sqrt(6 / inputs),
        "uniform(±1/√inputs)": math.sqrt(1 / inputs),
        "xavier_uniform": math.sqrt(6 / (inputs + outputs)),
        "the uniform of stable-nalu": _stable_nalu(inputs + outputs),
    }
    normal = {
        "kaiming_normal": math.sqrt(2 / inputs),
        "xavier_normal": math.sqrt(2 / (inputs + outputs)),
        "normal(0, 1)": 1.0,
    }
    fits = [name for name, bound in uniform.items() if _is_uniform(flat / bound)]
    fits += [name for name, deviation in normal.items() if _is_normal(flat / deviation)]
    return fits[0] if fits else None


def _is_uniform(values: Tensor) -> bool:
    """Whether the values look drawn uniformly from −1..1."""
    largest, count = float(values.abs().max()), values.numel()
    if largest > _ROUNDING or largest**count < _EDGE:
        return False
    power = abs(float(values.square().mean()) - 1 / 3) <= _NORMAL * math.sqrt(4 / 45 / count)
    return power and _distance((values + 1) / 2) <= _KOLMOGOROV


def _is_normal(values: Tensor) -> bool:
    """Whether the values look drawn from the standard normal distribution."""
    power = abs(float(values.square().mean()) - 1) <= _NORMAL * math.sqrt(2 / values.numel())
    return power and _distance((1 + torch.erf(values / math.sqrt(2))) / 2) <= _KOLMOGOROV


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
