"""The inputs and outputs of a header as pointer parameters: their names, their types, and the lines that list them."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nalu_export.formats.base import TensorSpec
from nalu_export.formats.cpp.names import MAX_LENGTH, RESERVED, TAKEN
from nalu_export.formats.cpp.text import in_comment, stem
from nalu_export.formats.cpp.types import TYPES

# The parameter ``n`` (the number of samples), and macros of C and system headers.
_NOT_A_POINTER = frozenset({"n", "I", "errno", "complex", "imaginary", "noreturn", "near", "far", "small", "interface"})
_LINE = re.compile(r'//   ([A-Za-z0-9_]+): (const )?([a-z0-9_:]+)\*, of a sample \(([0-9, ]*)\)(?:, (".*"))?')


@dataclass(frozen=True)
class Pointer:
    """One pointer parameter.

    Attributes:
        name: its name in the public functions.
        spec: the input or output that it points to; the first axis is that of the samples.
        given: whether it is an input.
        count: numbers of each sample.
        inside: its name in the arithmetic functions.
        size: name of ``count`` in the arithmetic functions.
    """

    name: str
    spec: TensorSpec
    given: bool
    count: int
    inside: str
    size: str

    @property
    def type(self) -> str:
        """The type in C++, such as ``const float*``."""
        return f"{'const ' if self.given else ''}{TYPES[self.spec.dtype].cpp}*"

    @property
    def type_in_c(self) -> str:
        """The type in C."""
        return f"{'const ' if self.given else ''}{TYPES[self.spec.dtype].c}*"

    @property
    def is_plain(self) -> bool:
        """Whether it points to floats that have one axis for each sample."""
        return self.spec.dtype == "float32" and len(self.spec.shape) == 2


def pointers(
    inputs: Sequence[tuple[TensorSpec, int]], outputs: Sequence[tuple[TensorSpec, int]], taken: Iterable[str]
) -> tuple[Pointer, ...]:
    """Return the pointers of a header in the order of its functions' parameters.

    One input and one output are named ``x`` and ``y``. Several are named after the inputs and outputs of the model.

    Args:
        inputs: the inputs, each with its numbers per sample.
        outputs: the outputs, likewise.
        taken: names that have another meaning where the functions are.
    """
    if len(inputs) == len(outputs) == 1:
        (x,), (y,) = inputs, outputs
        return Pointer("x", x[0], True, x[1], "x", "inputs"), Pointer("y", y[0], False, y[1], "y", "outputs")
    names = _Names(taken)
    found = []
    for given, specs in ((True, inputs), (False, outputs)):
        for number, (spec, count) in enumerate(specs, 1):
            inside = f"{'in' if given else 'out'}_{number}"
            found.append(Pointer(names.of(spec.name, given), spec, given, count, inside, f"{inside}_size"))
    return tuple(found)


class _Names:
    """Finds names for pointers. Neither the name nor the name of its size has another meaning."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = RESERVED | TAKEN | _NOT_A_POINTER | set(taken)

    def of(self, text: str, given: bool) -> str:
        letters = stem(text)[:MAX_LENGTH].strip("_")
        safe = "_".join(filter(None, ("x" if given else "y", letters)))
        # A name in capitals may be a macro.
        first = [letters] if letters[:1].isalpha() and not (len(letters) > 1 and letters.isupper()) else []
        tries = (*first, safe, *(f"{safe}_{number}" for number in range(2, len(self._taken) + 2)))
        name = next(name for name in tries if not self._taken & {name, f"{name}_size"})
        self._taken |= {name, f"{name}_size"}
        return name


def listed(found: Sequence[Pointer]) -> list[str]:
    """Write a line of the comment at the top for each pointer.

    The line has the name in the model where the name of the pointer differs from it.
    """
    lines = []
    for pointer in found:
        name = f", {in_comment(pointer.spec.name)}" if pointer.name != pointer.spec.name else ""
        shape = ", ".join(map(str, pointer.spec.shape[1:]))
        lines.append(f"//   {pointer.name}: {pointer.type}, of a sample ({shape}){name}")
    return lines


def read_listed(lines: Iterable[str]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Read the inputs and outputs from lines that :func:`listed` wrote; other lines are ignored.

    Raises:
        ValueError: a line is damaged.
    """
    dtypes = {kind.cpp: dtype for dtype, kind in TYPES.items()}
    found: dict[bool, list[TensorSpec]] = {True: [], False: []}
    for match in filter(None, map(_LINE.fullmatch, lines)):
        name, const, cpp, shape, text = match.groups()
        if cpp not in dtypes:
            raise ValueError(cpp)
        sizes = tuple(int(size) for size in shape.split(",") if size)
        found[const is not None].append(
            TensorSpec(name if text is None else str(json.loads(text)), dtypes[cpp], ("batch", *sizes))
        )
    return tuple(found[True]), tuple(found[False])
