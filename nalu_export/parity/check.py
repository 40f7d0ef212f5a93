"""Runs a model and its artifact over the input families and says whether they agree."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nalu_export import runtimes
from nalu_export.errors import InputError
from nalu_export.parity.comparison import Comparison, Tolerance, compare, failed, limit
from nalu_export.parity.inputs import Draw, draw
from nalu_export.parity.reference import Expected, Reference
from nalu_export.parity.report import Report, Row, merge
from nalu_export.runtimes.base import RunOptions, Session
from nalu_export.weights import Compute

SAMPLES = 1024
IMAGE_SAMPLES = 48
MAX_SAMPLES = 10**6
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class CheckOptions:
    """How to check.

    Attributes:
        samples: of each input family; by default 1024, for images 48.
        seed: of the inputs.
        rtol: pass by nearness to PyTorch's float32 output instead of the reference, relative part.
        atol: the same, absolute part in the unit of the output.
        tf32: let a CUDA runtime use TF32.
    """

    samples: int | None = None
    seed: int = 0
    rtol: float | None = None
    atol: float | None = None
    tf32: bool = False

    def __post_init__(self) -> None:
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if value is not None and not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; it must be a number of at least 0")
        if self.samples is not None and not 1 <= self.samples <= MAX_SAMPLES:
            raise InputError(f"samples is {self.samples}; it must be from 1 to {MAX_SAMPLES}")
        if not 0 <= self.seed <= MAX_SEED:
            raise InputError(f"seed is {self.seed}; it must be from 0 to {MAX_SEED}")


def check_bytes(
    model: nn.Module,
    data: bytes,
    shapes: Sequence[tuple[int, ...]],
    compute: Compute,
    names: Sequence[str],
    options: CheckOptions,
    *,
    decisive: Sequence[str] | None = None,
) -> Report:
    """Check the bytes of an artifact.

    Args:
        model: the source, float32.
        data: the artifact.
        shapes: shapes of one sample to run, several where the image size is free.
        compute: type of the artifact's arithmetic part.
        names: runtimes to run, in order.
        options: how.
        decisive: the runtimes that decide; by default all of them.

    Raises:
        RuntimeUnavailableError: a runtime is not there.
        InputError: a runtime does not take the file, or the model not the shapes.
    """
    # A head is small: threads that wait for each other take longer than the work, much longer on a busy machine.
    with _threads(1 if len(shapes[0]) == 1 else None) as threads:
        return _check(model, data, shapes, compute, names, options, decisive, threads)


def _check(
    model: nn.Module,
    data: bytes,
    shapes: Sequence[tuple[int, ...]],
    compute: Compute,
    names: Sequence[str],
    options: CheckOptions,
    decisive: Sequence[str] | None,
    threads: int | None,
) -> Report:
    reference = Reference(model)
    run_options = RunOptions(tf32=options.tf32, threads=threads)
    sessions = {name: runtimes.get(name).load(model, data, run_options) for name in names}
    tolerances = {name: _tolerance(name, compute, reference, options) for name in names}
    samples = options.samples or (IMAGE_SAMPLES if len(shapes[0]) > 1 else SAMPLES)
    found: dict[tuple[str, str], list[Comparison]] = {}
    for drawn in draw(list(shapes), samples, options.seed):
        expected = reference(drawn.x)
        for name, session in sessions.items():
            comparison = _compared(session, drawn, expected, tolerances[name])
            found.setdefault((name, drawn.family), []).append(comparison)
    families = list(dict.fromkeys(family for _, family in found))
    rows: list[Row] = [
        merge(name, family, found[name, family], tolerances[name]) for name in names for family in families
    ]
    return Report(
        rows=tuple(rows),
        where={name: session.where for name, session in sessions.items()},
        decisive=tuple(names if decisive is None else decisive),
        seed=options.seed,
        rtol=options.rtol,
        atol=options.atol,
    )


@contextmanager
def _threads(count: int | None) -> Iterator[int | None]:
    """Let torch compute with ``count`` threads for a while, ``None`` for as many as it has."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)


def _tolerance(name: str, compute: Compute, reference: Reference, options: CheckOptions) -> Tolerance:
    own_weights = runtimes.get(name).own_weights
    # Eager PyTorch is float32 whatever the artifact computes in.
    own: Compute = "float32" if own_weights else compute
    largest = limit(own, reference.terms, reference.lost_terms, own_weights=own_weights)
    return Tolerance(largest, own, options.rtol, options.atol)


def _compared(session: Session, drawn: Draw, expected: Expected, tolerance: Tolerance) -> Comparison:
    """A runtime that does not take a batch has failed the check, like one that gives wrong numbers."""
    outputs = []
    for x in drawn.batches:
        try:
            out = session.run(x)
        except InputError as error:
            return failed(len(drawn.x), f"batch of {len(x)}: {error}")
        if out.shape[:1] != (len(x),):
            return failed(len(drawn.x), f"a batch of {len(x)} gave an output of shape {out.shape}")
        outputs.append(out)
    if len({out.shape[1:] for out in outputs}) > 1:
        return failed(len(drawn.x), "the output's shape depends on the batch size")
    return compare(np.concatenate(outputs), expected, tolerance)
