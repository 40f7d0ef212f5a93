"""How near weights are to −1, 0 and 1, and how often a gate has chosen one path."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

# A weight this near to −1, 0 or 1 has settled; a gate this near to 0 or 1 has chosen one path.
NEAR = 0.01
GATE_SAMPLES = 1024
# Limit of numbers in the inputs or outputs of a gate: wide gates are judged on fewer samples.
GATE_NUMBERS = 2**22


def nearest(weight: Tensor) -> Tensor:
    """Return the nearest of −1, 0 and 1 to each weight; NaN stays NaN."""
    return weight.round().clamp(-1.0, 1.0)


def uniform_inputs(features: int, samples: int, low: float = 0.1, high: float = 1.0) -> Tensor:
    """Return seeded training-like inputs, float64 ``(samples, features)``."""
    return uniform((samples, features), low, high)


def uniform(shape: Sequence[int], low: float = 0.1, high: float = 1.0, seed: int = 0) -> Tensor:
    """Return seeded uniform numbers in any shape, float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(tuple(shape), generator=generator, dtype=torch.float64) * (high - low) + low


def inputs_of_gate(shapes: Mapping[str, Sequence[int]], units: int) -> dict[str, Tensor]:
    """Return the inputs on which a gate is judged, uniform in 0.1..1, by their names in its formula.

    Args:
        shapes: shape of one sample of each input.
        units: how many gates there are at once.
    """
    numbers = max(units, 1, *(torch.Size(shape).numel() for shape in shapes.values()))
    samples = max(1, min(GATE_SAMPLES, GATE_NUMBERS // numbers))
    return {name: uniform((samples, *shape), seed=place) for place, (name, shape) in enumerate(shapes.items())}


def nearness(weight: Tensor) -> dict[str, float]:
    """Return the shares of weights near −1, 0 and 1 (within 0.01), together and each, and the largest distance."""
    values = weight.detach().double()
    distance = (values - nearest(values)).abs()
    return {
        "settled": _share(distance <= NEAR),
        **{f"at_{target}": _share((values - target).abs() <= NEAR) for target in (-1, 0, 1)},
        "farthest": float(distance.max()),
    }


def saturation(shares: Mapping[str, Tensor]) -> dict[str, float]:
    """Return how often a gate has chosen one path.

    Args:
        shares: gate values of the ``"sum"`` and of the ``"product"``; of any other path if the gate does not have
            both.
    """
    if {"sum", "product"} <= shares.keys():
        g, h = shares["sum"], shares["product"]
        return {
            "add": _share((g >= 1 - NEAR) & (h <= NEAR)),
            "multiply": _share((h >= 1 - NEAR) & (g <= NEAR)),
        }
    share = next(iter(shares.values()))
    return {"open": _share(share >= 1 - NEAR), "shut": _share(share <= NEAR)}


def _share(mask: Tensor) -> float:
    return float(mask.double().mean())
