"""Heads in float64 on inputs like those of training, and on the thousandfold of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nalu_export.doctor.subject import Head
from nalu_export.statistics import uniform_inputs

SAMPLES = 256
BEYOND = 1000.0


class Call(NamedTuple):
    """What one layer was given, ``(samples, features)``, and what it gave."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Run:
    """What went through a head.

    Attributes:
        calls: of each cell; ``None`` for one that was not called.
        result: of the head.
    """

    calls: tuple[Call | None, ...]
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
    seen: dict[int, Call] = {}
    with torch.no_grad(), _watched(head, seen):
        result = head.module(x)
    return Run(tuple(seen.get(number) for number in range(len(head.cells))), result)


@contextmanager
def _watched(head: Head, seen: dict[int, Call]) -> Iterator[None]:
    hooks = [cell.layer.register_forward_hook(partial(_keep, seen, number)) for number, cell in enumerate(head.cells)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _keep(seen: dict[int, Call], number: int, _: nn.Module, x: tuple[Any, ...], y: Any) -> None:
    seen[number] = Call(x[0], y)


def span(inputs: tuple[float, float], factor: float = 1.0) -> str:
    """A range as the texts have it: ``"0.1..1"``."""
    return "..".join(f"{factor * edge:g}" for edge in inputs)
