"""What a runtime is: a file of this folder whose ``RUNTIME`` runs a batch and says honestly where it ran."""

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
    """How a runtime is to run.

    Attributes:
        tf32: allow TF32 in matrix products and convolutions where the device has it (about 1e-3 relative).
        threads: threads of a CPU runtime that has its own, ``None`` for its default.
        device: number of the CUDA device, as CUDA counts those that are visible.
        device_memory: how many bytes of it a CUDA runtime may take, ``None`` for all.
        provider_options: more options for ONNX Runtime's CUDA provider, by name.
        fold: let ONNX Runtime compute what depends on constants alone when it loads a file, with its CPU kernels.
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
    #: (the part of the library that computes), ``options`` (those really in force, ``k=v, k=v``) and ``threads``; those
    #: on CUDA also ``driver`` and ``cuda``. What cannot be found out is "unknown", never left out.
    details: Mapping[str, str] = MappingProxyType({})

    #: Names of the file's inputs and outputs, in its order; empty where a runtime has none.
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()

    #: What the runtime does otherwise than the file says, each a line with its reason; they explain a failed check.
    remarks: tuple[str, ...] = ()

    #: Whether it computes in float32 what this file says is float64, such as the effective weights of a live file.
    narrows: bool = False

    #: The largest argument of its float32 Exp; past it there may be an infinity where float32 still has numbers.
    exp_limit: float = math.inf

    @abstractmethod
    def run(self, inputs: Arrays) -> Arrays:
        """The outputs for one batch, from the file as it is.

        Args:
            inputs: one array for each input, in the order of the file.

        Returns:
            One array for each output, in the order of the file.

        Raises:
            InputError: it does not run on them.
        """

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Intermediate values for one batch, to find out where a runtime leaves the reference.

        Looking may change what a runtime fuses, so that a value can differ from the one that :meth:`run` goes through
        by what the fusion saves in roundings.

        Args:
            inputs: a batch.
            names: dotted names of values of the arithmetic graph, such as ``head.layers.0.a``.

        Returns:
            The values by name, without the names that the file does not have; empty where a runtime cannot be looked
            into.
        """
        del inputs, names
        return {}


class Runtime(ABC):
    """One way to run an artifact.

    Attributes:
        name: as the command line spells it.
        format: name of the format that it runs; ``None`` where it runs the model itself.
        own_weights: whether it computes the effective weights in float32, once more each run.
        float64: whether it computes in float64 what a file says is float64.
        partial: whether it lacks operators, so that it may refuse a right file.
        cuda: whether it runs on a CUDA device, so that those options of :class:`RunOptions` make a difference to it.
    """

    name: str
    format: str | None
    own_weights: bool = False
    float64: bool = True
    partial: bool = False
    cuda: bool = False

    @abstractmethod
    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """A session.

        Args:
            model: the source; it takes its tensors one after the other and gives a tuple of tensors.
            data: the bytes of the artifact.
            options: see :class:`RunOptions`.

        Raises:
            RuntimeUnavailableError: the runtime, or the device that it is named after, is not there.
            InputError: the runtime refuses the file.
        """
