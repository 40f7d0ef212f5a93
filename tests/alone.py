"""Models of one input and one output, without the tuples around them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from nalu_export.graph.example import INPUT
from nalu_export.graph.interface import BATCH, Port
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.batch import Batch
from nalu_export.parity.inputs import Draw, draw
from nalu_export.parity.reference import Expected, Reference
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Profile
from nalu_export.runtimes.base import Session


def port(*shape: int | str) -> Port:
    """An input of floats; ``shape`` is that of one sample."""
    return Port(INPUT, INPUT, torch.float32, (BATCH, *shape))


def drawn_over(
    shapes: Sequence[tuple[int, ...]], samples: int, seed: int, ranges: Sequence[tuple[float, float]] = ()
) -> Iterator[Draw]:
    """Every distribution over these shapes of the one input."""
    return draw([port(*shapes[0])], [(shape,) for shape in shapes], samples, seed, ranges)


def array_of(batch: Batch) -> NDArray[Any]:
    """The samples of the one input."""
    (array,) = batch.arrays
    return array


def analysed(analysis: ErrorAnalysis, x: Tensor, profile: Profile) -> Conditioned:
    """What is known of the one output."""
    (found,) = analysis([x], profile)
    return found


def expected_of(
    reference: Reference, x: NDArray[Any], profiles: Sequence[Profile], batches: Sequence[NDArray[Any]] = ()
) -> Mapping[Profile, Expected]:
    """What the one output should be."""
    found = reference(Batch.of(x), profiles, [Batch.of(batch) for batch in batches])
    return {profile: expected for profile, (expected,) in found.items()}


def run_one(session: Session, x: NDArray[Any]) -> NDArray[Any]:
    """The one output that a runtime gives."""
    (out,) = session.run([x])
    return out
