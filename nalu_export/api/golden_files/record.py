"""The content of a golden file, and the checks that its parts fit together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError
from nalu_export.graph.folding import COMPUTE, Compute
from nalu_export.io.arrays import MAX_RANK, MAX_VALUES, TYPE_NAMES, TYPES, odd_truths
from nalu_export.io.text import plain

VERSION = 2
HEX = frozenset("0123456789abcdef")
MAX_ACCEPT = 4
MAX_NAME = 255
MAX_ASSUMPTIONS, MAX_ASSUMPTION = 16, 1023
#: The arrays of each output in their order in a file, with their types; ``None`` is the type of the output itself.
FIELDS: dict[str, np.dtype[Any] | None] = {
    "reference": np.dtype("<f8"),
    "bound": np.dtype("<f8"),
    "unit": np.dtype("<f8"),
    "torch": None,
    "accept": np.dtype("u1"),
}
#: The names of the input and the output of a file of version 1, which has no names.
ONLY_INPUT, ONLY_OUTPUT = "input", "output"

_END = {"b": 2.0, "i4": 2.0**31, "i8": 2.0**63}


@dataclass(frozen=True)
class GoldenInput:
    """One input, for all samples.

    Attributes:
        name: its name in the model.
        values: array of shape ``(samples, …)``, of one of the types of :data:`nalu_export.io.arrays.TYPES`.
    """

    name: str
    values: NDArray[Any]


@dataclass(frozen=True)
class GoldenOutput:
    """One output of a model for all samples, and the largest error that an evaluation may have.

    A finite number passes if ``|out − reference| ≤ bound`` or ``bound`` is infinite. A number that is not finite passes
    if ``accept`` is its kind (1 NaN, 2 ``+inf``, 3 ``−inf``) or 4. An integer or boolean passes if it equals the
    reference or ``bound`` is infinite. A check accepts the same outputs, and also compares the sign of an exact zero,
    which a golden file does not hold.

    All arrays have the shape of the output: ``(samples, …)``, or without the sample axis if the output is shared.

    Attributes:
        name: its name in the model.
        reference: output of the model in float64; an integer or boolean as a float64.
        bound: largest ``|out − reference|`` of a correct evaluation, in the unit of the output. For integers and
            booleans it is 0 or infinite; it is infinite if float64 cannot hold the integer.
        unit: ``u·D`` with ``u = 2⁻²⁴``, see docs/parity.md; the accuracy is ``E = |out − reference| / unit``.
        torch: PyTorch's own output, in the type of the output.
        accept: which outputs that are not finite pass: 0 none, 1 NaN, 2 ``+inf``, 3 ``−inf``, 4 all three.
        shared: whether the output is a constant of the model, the same for all samples and without a sample axis.
    """

    name: str
    reference: NDArray[np.float64]
    bound: NDArray[np.float64]
    unit: NDArray[np.float64]
    torch: NDArray[Any]
    accept: NDArray[np.uint8]
    shared: bool = False


@dataclass(frozen=True)
class Golden:
    """The content of a golden file: inputs, and the outputs of a model for them with their error bounds.

    :class:`nalu_export.api.golden_files.GoldenOutput` says which outputs of a program pass.

    Attributes:
        source_sha256: SHA-256 of the model's file, in hexadecimal, as in the metadata of an export; for a module in
            memory that of its state_dict.
        compute: floating-point type inside the arithmetic subgraphs that the bounds are for.
        inputs: the inputs, in the order of the model.
        outputs: the outputs, in the order of the model.
        assumptions: facts that decide what the model computes and that its file does not contain, one line each.
    """

    source_sha256: str
    compute: Compute
    inputs: tuple[GoldenInput, ...]
    outputs: tuple[GoldenOutput, ...]
    assumptions: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.inputs[0].values)


def check_assumptions(texts: Sequence[str]) -> None:
    """Check the number and the lengths of assumptions.

    Raises:
        InputError: there are more than 16, or one does not have 1 to 1023 bytes.
    """
    check_assumption_count(len(texts))
    for text in texts:
        if not 0 < len(text.encode()) <= MAX_ASSUMPTION:
            raise InputError(f"has an assumption of {len(text.encode()):,} bytes; expected 1 to {MAX_ASSUMPTION:,}")


def check_assumption_count(count: int) -> None:
    """Check the number of assumptions alone, before their texts are read.

    Raises:
        InputError: there are more than 16.
    """
    if count > MAX_ASSUMPTIONS:
        raise InputError(f"has {count:,} assumptions; expected at most {MAX_ASSUMPTIONS}")


def checked(golden: Golden) -> Golden:
    """Return the same golden file after checking that its parts are valid and fit together.

    Raises:
        InputError: a part is not valid, or two do not fit together.
    """
    if len(golden.source_sha256) != 64 or not HEX.issuperset(golden.source_sha256):
        raise InputError(f"source_sha256 is {plain(golden.source_sha256)}; expected 64 hexadecimal digits")
    if golden.compute not in COMPUTE:
        raise InputError(f"compute is {plain(golden.compute)}; expected {' or '.join(COMPUTE)}")
    check_assumptions(golden.assumptions)
    for kind, values in (("input", golden.inputs), ("output", golden.outputs)):
        check_count(kind, len(values))
        check_names(kind, [value.name for value in values])
    for given in golden.inputs:
        _check_input(given)
    for given in golden.inputs[1:]:
        if len(given.values) != golden.samples:
            raise InputError(
                f"input {plain(given.name)} has {len(given.values)} samples, input {plain(golden.inputs[0].name)} "
                f"{golden.samples}; expected the same number"
            )
    for output in golden.outputs:
        _check_output(output, golden.samples)
    return golden


def check_count(kind: str, count: int) -> None:
    """Check the number of inputs or outputs.

    Raises:
        InputError: it is 0 or larger than 64.
    """
    if not 1 <= count <= MAX_VALUES:
        raise InputError(f"has {count} {kind}s; expected 1 to {MAX_VALUES}")


def check_names(kind: str, names: Sequence[str]) -> None:
    """Check the names of all inputs or of all outputs.

    Raises:
        InputError: a name does not have 1 to 255 bytes, is not printable, or occurs twice.
    """
    for name in names:
        size = len(name.encode("utf-8", "surrogatepass"))
        if not 1 <= size <= MAX_NAME or not name.isprintable():
            raise InputError(f"an {kind}'s name is {name[:40]!a}; expected 1 to {MAX_NAME} printable bytes")
        if names.count(name) > 1:
            raise InputError(f"has several {kind}s named {plain(name)}")


def check_rank(what: str, rank: int, *, shared: bool = False) -> None:
    """Check the number of axes of an input or output.

    Raises:
        InputError: it is larger than 16, or 0 and the output is not shared.
    """
    least = 0 if shared else 1
    if not least <= rank <= MAX_RANK:
        raise InputError(f"{what} has {rank} axes; expected {least} to {MAX_RANK}")


def _check_input(given: GoldenInput) -> None:
    what = f"input {plain(given.name)}"
    _check_type(what, given.values)
    check_rank(what, given.values.ndim)
    if not given.values.size:
        raise InputError(f"{what} has shape {given.values.shape}, which holds no numbers")


def _check_type(what: str, array: NDArray[Any]) -> None:
    if array.dtype not in TYPES.values():
        raise InputError(f"{what} is {plain(str(array.dtype))}; expected one of {TYPE_NAMES}")
    if odd_truths(array):
        raise InputError(f"{what} has booleans that are neither 0 nor 1")


def _check_output(output: GoldenOutput, samples: int) -> None:
    what, shape = f"output {plain(output.name)}", output.reference.shape
    _check_type(f"{what}: torch", output.torch)
    for name, dtype in FIELDS.items():
        array: NDArray[Any] = getattr(output, name)
        if dtype is not None and array.dtype != dtype:
            raise InputError(f"{what}: {name} is {plain(str(array.dtype))}; expected {dtype}")
        if array.shape != shape:
            raise InputError(f"{what}: {name} has shape {array.shape}, reference {shape}; expected the same")
    check_rank(what, len(shape), shared=output.shared)
    if not output.shared and shape[0] != samples:
        raise InputError(f"{what} has {shape[0]} samples, the inputs {samples}; expected the same number")
    if not output.reference.size:
        raise InputError(f"{what} has shape {shape}, which holds no numbers")
    for name in ("bound", "unit"):
        if not bool((getattr(output, name) >= 0).all()):
            raise InputError(f"{what}: {name} has values that are negative or NaN")
    if int(output.accept.max()) > MAX_ACCEPT:
        raise InputError(f"{what}: accept has a value {int(output.accept.max())}; expected 0 to {MAX_ACCEPT}")
    if output.torch.dtype.kind in "bi":
        _check_whole(what, output)


def _check_whole(what: str, output: GoldenOutput) -> None:
    """Check an output of integers or booleans: each number is known exactly or not at all.

    Raises:
        InputError: a bound is neither 0 nor infinite, or a known reference is not a number of the output's type.
    """
    known = output.bound == 0
    if not bool((known | np.isinf(output.bound)).all()):
        raise InputError(f"{what} is {output.torch.dtype}, but has a bound that is neither 0 nor infinite")
    dtype, numbers = output.torch.dtype, output.reference[known]
    end = _END["b" if dtype.kind == "b" else f"i{dtype.itemsize}"]
    least = 0.0 if dtype.kind == "b" else -end
    if not bool(((numbers >= least) & (numbers < end) & (numbers == np.floor(numbers))).all()):
        raise InputError(f"{what} is {dtype}, but has a reference that is not of that type")
