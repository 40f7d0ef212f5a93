"""Golden files: inputs and reference outputs, with which a program in any language can test itself."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nalu_export.api.golden_files import (
    Golden,
    GoldenInput,
    GoldenOutput,
    checked,
    from_arrays,
    from_bin,
    to_bin,
    to_npz,
)
from nalu_export.errors import InputError, option
from nalu_export.graph import ModelGraph, Port
from nalu_export.graph.folding import COMPUTE, Compute
from nalu_export.io.assumption import Assumption
from nalu_export.io.files import read_bytes
from nalu_export.io.input_files import read_inputs
from nalu_export.io.keywords import public
from nalu_export.io.targets import StandardOutput, check_target, write_atomically
from nalu_export.nn.init import choose
from nalu_export.parity.acceptance import acceptance
from nalu_export.parity.batch import Batch
from nalu_export.parity.check import calibration, numbers_in, torch_threads
from nalu_export.parity.inputs import DISTRIBUTIONS, draw
from nalu_export.parity.options import MAX_SEED
from nalu_export.parity.reference import Expected, Reference
from nalu_export.primitives.precision import Profile
from nalu_export.source.preparing import SourceKeywords, SourceOptions, prepared

SAMPLES = 32
IMAGE_SAMPLES = 4
MAX_SAMPLES = 4096
# Largest number of values in the inputs of all distributions together: half a GiB of float32.
MAX_NUMBERS = 2**27

_WRITE: dict[str, Callable[[Golden], bytes]] = {".bin": to_bin, ".npz": to_npz}
_READ: dict[str, Callable[[Path], Golden]] = {
    ".bin": lambda path: from_bin(read_bytes(path)),
    ".npz": lambda path: from_arrays(read_inputs(path)),
}


@dataclass(frozen=True)
class GoldenOptions(SourceOptions):
    """How to read the source, see :class:`SourceOptions`, and what to write of it.

    Attributes:
        part: path of one arithmetic subgraph to write alone, such as ``"head"``; by default the whole model is written.
        compute: floating-point type inside the arithmetic subgraphs that the bounds are for.
        samples: samples of each input distribution, 1 to 4096; by default 32, and 4 if a sample has three or more axes.
        seed: seed of the inputs.

    Raises:
        InputError: a value is not allowed.
    """

    part: str | None = None
    compute: Compute = "float32"
    samples: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        choose(option("compute"), self.compute, COMPUTE)
        for name, number, low, high in (
            ("samples", self.samples, 1, MAX_SAMPLES),
            ("seed", self.seed, 0, MAX_SEED),
        ):
            if number is not None and not low <= number <= high:
                raise InputError(f"{option(name)} is {number}; it must be from {low} to {high}")


class GoldenArguments(SourceKeywords, total=False):
    """:class:`GoldenOptions` as keyword arguments."""

    part: str | None
    compute: Compute
    samples: int | None
    seed: int


@dataclass(frozen=True)
class WrittenGolden:
    """A golden file that was written.

    Attributes:
        path: path of the file.
        golden: its content.
        notes: notes about the model and about outputs that the bounds do not determine, one line each.
        assumptions: facts that decide what the model computes and that its file does not contain. The golden file has
            them as texts.
    """

    path: Path
    golden: Golden
    notes: tuple[str, ...]
    assumptions: tuple[Assumption, ...] = ()


@public(GoldenOptions)
def write_golden(
    source: nn.Module | str | os.PathLike[str], path: str | os.PathLike[str], /, **options: Unpack[GoldenArguments]
) -> WrittenGolden:
    """Write a golden file: inputs, the outputs of a model for them, and the error bound of each output.

    With it a program that runs an export of the model can test its outputs: they pass if they are within the bounds
    that a check uses for folded weights, see :class:`nalu_export.Golden`. The inputs are those of a check: every
    distribution, from the training range to 1e7, negatives, exact zeros and subnormals. The same source and options
    give the same bytes.

    Args:
        source: a module, or the path of a ``model.pt``; it is not changed.
        path: path of the new file; an existing file is replaced. A name that ends in ``.bin`` gives the binary form for
            programs in any language, ``.npz`` the form for numpy.
        **options: three groups of options:

            - ``part``: path of one arithmetic subgraph to write alone. ``compute``: ``"float32"`` (default) or
              ``"float64"``, the type inside the arithmetic subgraphs that the bounds are for. ``samples`` of each input
              distribution, and ``seed``.
            - The inputs of the model, see :func:`nalu_export.export`: ``input_size``, ``example_inputs``,
              ``dynamic_shapes``, ``input_names``, ``output_names``, ``arithmetic``.
            - How to read a file, see :func:`nalu_export.load`: ``model``, ``layout``, ``eps``, ``prefix``, ``key``,
              ``backbone``, ``task``, ``trust``, ``strict``.

    Returns:
        The path and the content of the file, and notes.

    Raises:
        InputError: the source, an option or the target cannot be used, or the bounds determine none of the outputs.
        UnsupportedLayerError: a layer uses an operation that is not a primitive.
    """
    settings = GoldenOptions(**options)
    target = path if isinstance(path, Path) else Path(path)
    write = _WRITE[_form(target)]
    place = check_target(target, None if isinstance(source, nn.Module) else Path(source))
    ready = prepared(source, settings)
    graph = ready.graph if settings.part is None else ready.graph.isolated(settings.part)
    golden = _computed(graph, ready.checkpoint.sha256, settings)
    assumptions = ready.checkpoint.assumptions
    golden = checked(replace(golden, assumptions=tuple(map(str, assumptions))))
    undetermined = sum(int(np.isinf(output.bound).sum()) for output in golden.outputs)
    count = sum(output.bound.size for output in golden.outputs)
    if undetermined == count:
        raise InputError(
            f"{settings.compute} determines none of the {undetermined} outputs for these inputs, so that any program "
            f"would pass; give another {option('input_size')}, the part alone, or {option('compute', 'float64')}"
        )
    notes = ready.notes
    if undetermined:
        notes += (f"{settings.compute} does not determine {undetermined} of the {count} outputs",)
    write_atomically(place, write(golden))
    return WrittenGolden(target, golden, notes, assumptions)


def read_golden(path: str | os.PathLike[str]) -> Golden:
    """Read a golden file of either form, of version 1 or 2. The suffix of the path determines the form.

    Raises:
        InputError: the file cannot be read, or its content is not a valid golden file.
    """
    target = Path(path)
    read = _READ[_form(target)]
    try:
        return read(target)
    except InputError as error:
        # Errors of opening the file name it already.
        text = str(error).removeprefix(f"{target}: ")
        raise InputError(f"{target}: {text}") from error


def _form(path: Path) -> str:
    if isinstance(path, StandardOutput):
        return ".bin"
    if path.suffix not in _WRITE:
        raise InputError(f"{path}: the name of a golden file must end in {' or '.join(_WRITE)}")
    return path.suffix


def _computed(graph: ModelGraph, digest: str, settings: GoldenOptions) -> Golden:
    ports, sizes = graph.interface.inputs, [graph.sizes]
    samples = settings.samples or (SAMPLES if all(len(shape) < 3 for shape in graph.sizes) else IMAGE_SAMPLES)
    numbers = samples * len(DISTRIBUTIONS) * numbers_in(graph.sizes)
    if numbers > MAX_NUMBERS:
        raise InputError(
            f"samples is {samples}: the inputs have {numbers:,} numbers in total; at most {MAX_NUMBERS:,} are allowed"
        )
    profile = Profile(settings.compute)
    # With one thread, because the number of threads may change the rounding of PyTorch's float32 output.
    with torch_threads(1):
        reference = Reference(graph, calibration(ports, sizes))
        drawn = [one.x for one in draw(ports, sizes, samples, settings.seed)]
        expected = [reference(x, [profile])[profile] for x in drawn]
    x = Batch.joined(drawn)
    inputs = tuple(GoldenInput(port.name, array) for port, array in zip(ports, x.arrays, strict=True))
    outputs = map(_output, graph.interface.outputs, zip(*expected, strict=True), repeat(settings.compute))
    return Golden(digest, settings.compute, inputs, tuple(outputs))


def _output(port: Port, expected: Sequence[Expected], compute: Compute) -> GoldenOutput:
    """Return one output for all samples; a shared output is stored once."""
    accepted = [acceptance(found, compute) for found in expected]

    def together(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(parts) if port.batched else np.array(parts[0][0])

    return GoldenOutput(
        port.name,
        reference=together([found.reference for found in expected]),
        bound=together([found.bound for found in accepted]),
        unit=together([found.unit for found in expected]),
        torch=together([found.torch for found in expected]),
        accept=together([found.kind for found in accepted]),
        shared=not port.batched,
    )
