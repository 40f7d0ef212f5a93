"""Heads in float64 on inputs like those of training, and on the thousandfold of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.doctor.subject import Head
from nalu_export.statistics import uniform_inputs

SAMPLES = 256
BEYOND = 1000.0


@dataclass(frozen=True)
class Run:
    """What went through a head.

    Attributes:
        inputs: of each cell, ``(samples, features)``; ``None`` for one that was not called.
        outputs: of each cell.
        result: of the head.
    """

    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    result: Tensor


@dataclass(frozen=True)
class Runs:
    """A head on inputs like those of training and on the thousandfold of them.

    Attributes:
        near: on the former.
        far: on the latter.
        x: the former themselves.
    """

    near: Run
    far: Run
    x: Tensor


def run_head(head: Head, inputs: tuple[float, float]) -> Runs | None:
    """The head on seeded inputs uniform in a range; ``None`` where it does not run on them."""
    features = _features(head)
    if features is None:
        return None
    x = uniform_inputs(features, SAMPLES, *inputs)
    try:
        return Runs(_run(head, x), _run(head, BEYOND * x), x)
    except Exception:  # noqa: BLE001  a layer of the user's own may raise anything, and the other findings still hold
        return None


def _features(head: Head) -> int | None:
    """Inputs of its first cell; a layer of the user's own may not say, its widest parameter does."""
    layer = head.cells[0].layer
    features = getattr(layer, "in_features", None)
    if isinstance(features, int):
        return features
    sizes = [parameter.shape[-1] for parameter in layer.parameters() if parameter.ndim]
    return sizes[0] if sizes else None


def _run(head: Head, x: Tensor) -> Run:
    seen: dict[int, tuple[Tensor, Tensor]] = {}
    with torch.no_grad(), _watched(head, seen):
        result = head.module(x)
    pairs = [seen.get(number) for number in range(len(head.cells))]
    return Run(
        tuple(pair[0] if pair else None for pair in pairs), tuple(pair[1] if pair else None for pair in pairs), result
    )


@contextmanager
def _watched(head: Head, seen: dict[int, tuple[Tensor, Tensor]]) -> Iterator[None]:
    hooks = [cell.layer.register_forward_hook(partial(_keep, seen, number)) for number, cell in enumerate(head.cells)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _keep(seen: dict[int, tuple[Tensor, Tensor]], number: int, _: nn.Module, x: tuple[Any, ...], y: Any) -> None:
    seen[number] = (x[0], y)


def span(inputs: tuple[float, float], factor: float = 1.0) -> str:
    """A range as the texts have it: ``"0.1..1"``."""
    return "..".join(f"{factor * edge:g}" for edge in inputs)
