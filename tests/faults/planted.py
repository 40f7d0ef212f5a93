"""A model, its artifact and what runs it: right as exported, or with one fault planted in the file or the runtime."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nalu_export import InputError, runtimes
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import Compute
from nalu_export.parity import CheckOptions, CheckRequest, Report, check_bytes
from nalu_export.runtimes.base import Arrays, RunOptions, Session

AnyArray = NDArray[Any]
Run = Callable[[NDArray[np.float32]], AnyArray]
Wrap = Callable[[Run], Run]


@dataclass(frozen=True)
class Verdict:
    """What our check said.

    Attributes:
        passed: whether it let the artifact through.
        text: the one line that a user reads.
        report: the whole of it; ``None`` where the runtime refused the file and nothing was compared.
    """

    passed: bool
    text: str
    report: Report | None = None


@dataclass(frozen=True)
class Planted:
    """What a check is given.

    Attributes:
        graph: the source, captured, never touched by a fault.
        data: the artifact.
        shapes: of one sample of the input; several where the image size is free.
        compute: type of the artifact's arithmetic part.
        runtime: name of the runtime that the format is checked in.
        beside: files that lie beside the artifact, by name.
        wrap: turns a right run into one of a runtime with a fault; ``None`` where the fault is in the file.
    """

    graph: ModelGraph
    data: bytes
    shapes: tuple[tuple[int, ...], ...]
    compute: Compute
    runtime: str
    beside: Mapping[str, bytes] = field(default_factory=dict)
    wrap: Wrap | None = None

    @property
    def model(self) -> nn.Module:
        """The source itself."""
        return self.graph.module

    @contextmanager
    def patch(self) -> Iterator[None]:
        """Let the runtime of that name have the fault for a while: whoever loads it meets it."""
        if self.wrap is None:
            yield
            return
        runtime, wrap = runtimes.get(self.runtime), self.wrap
        load = runtime.load

        def faulty(model: nn.Module, data: bytes, options: RunOptions) -> Session:
            return _FaultySession(load(model, data, options), wrap)

        with mock.patch.object(runtime, "load", faulty):
            yield

    def check(self, options: CheckOptions | None = None) -> Verdict:
        """Our own check, by default as a user gets it; a file that the runtime refuses has not passed."""
        try:
            with self.patch():
                sizes = [(shape,) for shape in self.shapes]
                report = check_bytes(
                    CheckRequest(self.graph, self.data, sizes, self.compute, [self.runtime], options or CheckOptions())
                )
        except InputError as error:
            return Verdict(False, str(error))
        return Verdict(report.passed, report.summary(), report)


def one_to_one(session: Session) -> Run:
    """A session of one input and one output as a function of arrays."""

    def run(x: NDArray[np.float32]) -> AnyArray:
        (out,) = session.run([x])
        return out

    return run


class _FaultySession(Session):
    def __init__(self, right: Session, wrap: Wrap) -> None:
        self.where, self.details, self.remarks = right.where, right.details, right.remarks
        self._right, self._faulty = right, wrap(one_to_one(right))

    def run(self, inputs: Arrays) -> Arrays:
        (x,) = inputs
        with np.errstate(all="ignore"):  # a fault may overflow, and that is no news
            return [self._faulty(x.astype(np.float32, copy=False))]

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Those of the right session: the faults are in what a runtime hands out."""
        return self._right.values(inputs, names)
