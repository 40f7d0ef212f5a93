"""What a format is: a file of this folder whose ``FORMAT`` turns a model into bytes and reads them back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from nalu_export.formats._options import FormatOptions
from nalu_export.graph import ModelGraph, Port, Subgraph
from nalu_export.graph.folding import WEIGHTS, Compute, Weights

Options = TypeVar("Options", bound=FormatOptions)


@dataclass(frozen=True)
class TensorSpec:
    """Name, type and shape of an input or output; a free axis is a name (``batch``, ``height``, ``width``)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    @staticmethod
    def of(port: Port) -> "TensorSpec":
        """That of a model's input or output; floats are float32 in a file."""
        return TensorSpec(port.name, port.type_name, port.shape)


@dataclass(frozen=True)
class EmitOptions:
    """Options of every format; those of one format are in its :class:`FormatOptions`.

    Attributes:
        weights: folded or live.
        compute: type of the arithmetic part.
    """

    weights: Weights = "folded"
    compute: Compute = "float32"


@dataclass(frozen=True)
class Draft(ABC):
    """An emitted model that has no metadata yet.

    Attributes:
        inputs: in the order of the model.
        outputs: in the order of its result.
        notes: lines for the user, on what the format did differently from what was asked.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """The complete file; the same metadata gives the same bytes."""


class Format(ABC, Generic[Options]):
    """One file format.

    Attributes:
        name: as the command line spells it.
        options: the class of its options.
        runtime: what checks an export of this format, by name.
        weights: the modes that it can hold.
        fixed: why no axis but that of the samples can be free; empty where one can.
    """

    name: str
    options: type[Options]
    runtime: str
    weights: tuple[Weights, ...] = WEIGHTS
    fixed: str = ""

    @property
    def suffix(self) -> str:
        """That of the default output file."""
        return self.options.suffixes[0]

    def scope(self, graph: ModelGraph, part: str | None) -> str:
        """Name of what a file of this format holds of a model: ``""`` where it holds all of it.

        Args:
            graph: the model.
            part: the subgraph that was asked for, see :attr:`FormatOptions.subgraph`.

        Raises:
            InputError: it cannot hold what the model has, or the model has no such subgraph.
        """
        del graph, part
        return ""

    @abstractmethod
    def emit(self, graph: ModelGraph, options: EmitOptions, own: Options | None = None) -> Draft:
        """The model in this format; it is not changed.

        Args:
            graph: the model.
            options: options that every format has.
            own: options of this format; ``None`` for the defaults.

        Raises:
            InputError: the model or the options cannot be expressed in this format.
            UnsupportedLayerError: an arithmetic layer uses an operation that is not a primitive.
        """

    @abstractmethod
    def opened(self, data: bytes) -> Any | None:
        """The content of a file as the methods below take it, so that it is parsed once; its bytes may be that.

        Args:
            data: the file.

        Returns:
            The content; ``None`` where it is no file of this format, told from its content. None of it is run.

        Raises:
            InputError: it is one that cannot be read, or not in the memory that a file of its size may take.
        """

    def part(self, content: Any, subgraph: Subgraph, call: int) -> bytes | None:
        """An arithmetic subgraph of a file as a file of its own, exactly as it is in there, to be checked in isolation.

        Args:
            content: of the file, see :meth:`opened`.
            subgraph: of the model.
            call: which call of it, from 0.

        Returns:
            The file, or ``None`` where the subgraph cannot be told from the rest.
        """
        del content, subgraph, call
        return None

    @abstractmethod
    def read_metadata(self, content: Any) -> dict[str, str]:
        """What :meth:`Draft.to_bytes` was given; empty for a file that is not ours.

        Raises:
            InputError: the file is damaged.
        """

    def signature(self, content: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]] | None:
        """What a file itself takes and gives; ``None`` where that cannot be told without running it."""
        del content
        return None

    @abstractmethod
    def read_weights(self, content: Any, *, trust: bool) -> dict[str, NDArray[np.generic]] | None:
        """Tensors of the file by name; ``None`` where reading them runs code from the file and ``trust`` is false."""
