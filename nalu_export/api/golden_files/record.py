"""What a golden file holds, and what has to fit in it."""

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
#: What there is of each output, in this order, with the type of its numbers; that of ``torch`` is the output's own.
FIELDS: dict[str, np.dtype[Any] | None] = {
    "reference": np.dtype("<f8"),
    "bound": np.dtype("<f8"),
    "unit": np.dtype("<f8"),
    "torch": None,
    "accept": np.dtype("u1"),
}
#: Names in a file of version 1, which has no names.
ONLY_INPUT, ONLY_OUTPUT = "input", "output"

_END = {"b": 2.0, "i4": 2.0**31, "i8": 2.0**63}


@dataclass(frozen=True)
class GoldenInput:
    """One input for all samples.

    Attributes:
        name: as the model calls it.
        values: ``(samples, …)``, of one of the types of :data:`nalu_export.io.arrays.TYPES`.
    """

    name: str
    values: NDArray[Any]


@dataclass(frozen=True)
class GoldenOutput:
    """What a model gives, and how far off an evaluation may be.

    A finite number passes where ``|out − reference| ≤ bound``, and where ``bound`` is infinite. One that is not finite
    passes where ``accept`` is its kind (1 NaN, 2 ``+inf``, 3 ``−inf``) or 4. That is what a check accepts too, but for
    the sign of an exact zero, which is not carried. An integer or a truth value passes where it is the reference, and
    where ``bound`` is infinite.

    Attributes:
        name: as the model calls it.
        reference: the model in float64, ``(samples, …)``; an integer or a truth value as a float64.
        bound: largest ``|out − reference|`` of a correct evaluation; of integers and truth values 0 or infinite, and
            infinite where float64 cannot hold the integer.
        unit: ``u·D``; E is ``|out − reference| / unit``.
        torch: PyTorch's own output, in the output's own type.
        accept: what passes that is not a finite number: 0 nothing, 1 NaN, 2 ``+inf``, 3 ``−inf``, 4 all three.
        shared: whether it is the same for all samples and has no axis of them; then all arrays have its own shape.
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
    """Inputs, and what a model gives for them.

    Attributes:
        source_sha256: of the model's file, as an export's metadata has it.
        compute: the type of the arithmetic part that the bounds are for.
        inputs: in the model's order.
        outputs: in the model's order.
        assumptions: what decides what the model computes and is not in its file, a line each.
    """

    source_sha256: str
    compute: Compute
    inputs: tuple[GoldenInput, ...]
    outputs: tuple[GoldenOutput, ...]
    assumptions: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.inputs[0].values)


def check_assumptions(texts: Sequence[str]) -> None:
    """A few lines.

    Raises:
        InputError: there are more, or one is empty or longer than a line.
    """
    check_assumption_count(len(texts))
    for text in texts:
        if not 0 < len(text.encode()) <= MAX_ASSUMPTION:
            raise InputError(f"has an assumption of {len(text.encode()):,} bytes; expected 1 to {MAX_ASSUMPTION:,}")


def check_assumption_count(count: int) -> None:
    """Refuse more than a few, before they are texts."""
    if count > MAX_ASSUMPTIONS:
        raise InputError(f"has {count:,} assumptions; expected at most {MAX_ASSUMPTIONS}")


def checked(golden: Golden) -> Golden:
    """The same, when its parts make sense together.

    Raises:
        InputError: they do not.
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
                f"{golden.samples}; expected as many"
            )
    for output in golden.outputs:
        _check_output(output, golden.samples)
    return golden


def check_count(kind: str, count: int) -> None:
    """Refuse no inputs, and more than are sensible."""
    if not 1 <= count <= MAX_VALUES:
        raise InputError(f"has {count} {kind}s; expected 1 to {MAX_VALUES}")


def check_names(kind: str, names: Sequence[str]) -> None:
    """Refuse names that are not one printable line each, or that stand for several."""
    for name in names:
        size = len(name.encode("utf-8", "surrogatepass"))
        if not 1 <= size <= MAX_NAME or not name.isprintable():
            raise InputError(f"an {kind}'s name is {name[:40]!a}; expected 1 to {MAX_NAME} printable bytes")
        if names.count(name) > 1:
            raise InputError(f"has several {kind}s of the name {plain(name)}")


def check_rank(what: str, rank: int, *, shared: bool = False) -> None:
    """Refuse more axes than are sensible; only what all samples share may have none."""
    least = 0 if shared else 1
    if not least <= rank <= MAX_RANK:
        raise InputError(f"{what} has {rank} axes; expected {least} to {MAX_RANK}")


def _check_input(given: GoldenInput) -> None:
    what = f"input {plain(given.name)}"
    _check_type(what, given.values)
    check_rank(what, given.values.ndim)
    if not given.values.size:
        raise InputError(f"{what} has shape {given.values.shape}, no numbers")


def _check_type(what: str, array: NDArray[Any]) -> None:
    if array.dtype not in TYPES.values():
        raise InputError(f"{what} is {plain(str(array.dtype))}; expected one of {TYPE_NAMES}")
    if odd_truths(array):
        raise InputError(f"{what} has truth values that are neither 0 nor 1")


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
        raise InputError(f"{what} has {shape[0]} samples, the inputs {samples}; expected as many")
    if not output.reference.size:
        raise InputError(f"{what} has shape {shape}, no numbers")
    for name in ("bound", "unit"):
        if not bool((getattr(output, name) >= 0).all()):
            raise InputError(f"{what}: {name} has values that are negative or NaN")
    if int(output.accept.max()) > MAX_ACCEPT:
        raise InputError(f"{what}: accept has a value {int(output.accept.max())}; expected 0 to {MAX_ACCEPT}")
    if output.torch.dtype.kind in "bi":
        _check_whole(what, output)


def _check_whole(what: str, output: GoldenOutput) -> None:
    """An integer is known exactly or not at all."""
    known = output.bound == 0
    if not bool((known | np.isinf(output.bound)).all()):
        raise InputError(f"{what} is {output.torch.dtype}, and has a bound that is neither 0 nor infinite")
    dtype, numbers = output.torch.dtype, output.reference[known]
    end = _END["b" if dtype.kind == "b" else f"i{dtype.itemsize}"]
    least = 0.0 if dtype.kind == "b" else -end
    if not bool(((numbers >= least) & (numbers < end) & (numbers == np.floor(numbers))).all()):
        raise InputError(f"{what} is {dtype}, and has a reference that is no {dtype}")
