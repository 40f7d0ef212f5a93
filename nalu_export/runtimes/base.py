"""What a runtime is: a file of this folder whose ``RUNTIME`` runs a batch and says honestly where it ran."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn


@dataclass(frozen=True)
class RunOptions:
    """How a runtime is to run.

    Attributes:
        tf32: allow TF32 in matrix products and convolutions where the device has it (about 1e-3 relative).
        threads: threads of a CPU runtime that has its own, ``None`` for its default.
    """

    tf32: bool = False
    threads: int | None = None


class Session(ABC):
    """A loaded artifact."""

    #: Device and library that really compute, for the report.
    where: str

    @abstractmethod
    def run(self, x: NDArray[np.float32]) -> NDArray[np.generic]:
        """The output for one batch."""


class Runtime(ABC):
    """One way to run an artifact.

    Attributes:
        name: as the command line spells it.
        format: name of the format that it runs; ``None`` where it runs the model itself.
        own_weights: whether it computes the effective weights in float32, once more each run.
    """

    name: str
    format: str | None
    own_weights: bool = False

    @abstractmethod
    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """A session.

        Args:
            model: the source.
            data: the bytes of the artifact.
            options: see :class:`RunOptions`.

        Raises:
            RuntimeUnavailableError: the runtime, or the device that it is named after, is not there.
            InputError: the runtime refuses the file.
        """
