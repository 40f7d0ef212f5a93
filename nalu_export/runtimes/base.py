"""The interface of a runtime: it loads an artifact, runs batches, and reports where it really ran."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from torch import nn

Arrays = Sequence[NDArray[np.generic]]


@dataclass(frozen=True)
class RunOptions:
    """The options of a run.

    Attributes:
        tf32: allow TF32 in matrix products and convolutions where the device has it (about 1e-3 relative).
        threads: threads of a CPU runtime with its own thread pool, ``None`` for its default.
        device: number of the CUDA device, as CUDA counts visible devices.
        device_memory: bytes of its memory that a CUDA runtime may take, ``None`` for all.
        provider_options: more options for ONNX Runtime's CUDA provider, by name.
        fold: let ONNX Runtime compute constant subexpressions when it loads a file, with its CPU kernels.
    """

    tf32: bool = False
    threads: int | None = None
    device: int = 0
    device_memory: int | None = None
    provider_options: Mapping[str, str] = field(default_factory=dict)
    fold: bool = True


class Session(ABC):
    """A loaded artifact."""

    #: Device and library that really compute, one line for a person.
    where: str

    #: The same for a program. Every runtime gives ``library`` (name and version), ``device`` (its name), ``provider``
    #: (the part of the library that computes), ``options`` (the options in force, ``k=v, k=v``) and ``threads``; CUDA
    #: runtimes also give ``driver`` and ``cuda``. A fact that cannot be found is "unknown", never missing.
    details: Mapping[str, str] = MappingProxyType({})

    #: Names of the file's inputs and outputs, in its order; empty if a runtime has no names.
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()

    #: Where the runtime deviates from the file, each a line with its reason; they explain a failed check.
    remarks: tuple[str, ...] = ()

    #: Whether it computes float64 parts of this file in float32, such as the effective weights of a live file.
    lowers_float64: bool = False

    #: The largest argument of its float32 Exp; past it the result may be infinite although float32 could hold it.
    exp_limit: float = math.inf

    @abstractmethod
    def run(self, inputs: Arrays) -> Arrays:
        """Run the unchanged file on one batch.

        Args:
            inputs: one array for each input, in the order of the file.

        Returns:
            One array for each output, in the order of the file.

        Raises:
            InputError: it does not run on them.
        """

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Return intermediate values for one batch, to find where a runtime leaves the reference.

        Showing values may change which operators a runtime fuses. A value can then differ from the one inside
        :meth:`run` by the roundings that the fusion saves.

        Args:
            inputs: a batch.
            names: dotted names of values of the arithmetic graph, such as ``head.layers.0.a``.

        Returns:
            The values by name, without the names that the file does not have; empty if a runtime cannot show any.
        """
        del inputs, names
        return {}


class Runtime(ABC):
    """A way to run an artifact.

    Attributes:
        name: as the command line spells it.
        format: name of the format that it runs; ``None`` if it runs the model itself.
        own_weights: whether it computes the effective weights in float32, anew in each run.
        float64: whether it computes the float64 parts of a file in float64.
        partial: whether it lacks operators, so that it may refuse a correct file.
        cuda: whether it runs on a CUDA device, so that the CUDA options of :class:`RunOptions` affect it.
    """

    name: str
    format: str | None
    own_weights: bool = False
    float64: bool = True
    partial: bool = False
    cuda: bool = False

    @abstractmethod
    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """Load an artifact into a session.

        Args:
            model: the source; it takes its tensors as positional arguments and returns a tuple of tensors.
            data: the bytes of the artifact.
            options: see :class:`RunOptions`.

        Raises:
            RuntimeUnavailableError: the runtime, or the device that it is named after, is not there.
            InputError: the runtime refuses the file.
        """
