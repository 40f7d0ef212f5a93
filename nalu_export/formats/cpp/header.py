"""The text of a header around its stages: the comment at the top, the struct, and the C functions."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nalu_export.formats.base import TensorSpec
from nalu_export.formats.cpp.entry import run, struct
from nalu_export.formats.cpp.extern_c import about_c, definitions, prototypes
from nalu_export.formats.cpp.names import CppNames
from nalu_export.formats.cpp.plan import Plan
from nalu_export.formats.cpp.pointers import Pointer, listed, pointers
from nalu_export.formats.cpp.stages import functions
from nalu_export.formats.cpp.text import Parameters, in_comment
from nalu_export.graph import formulas
from nalu_export.graph.folding import Compute

# Headings in the comment at the top: formulas follow the first, metadata the second.
FORMULAS = "// What it computes; linear(x, W) is x W^T, and every name is that of the source:"
METADATA = "// Metadata:"
_HERE = Path(__file__).parent
KERNELS = ("vectors.hpp", "functions.hpp", "tiles.hpp", "passes.hpp")
FLOATS, TYPED = "floats.hpp", "tensors.hpp"
_REAL: dict[Compute, tuple[str, type[np.floating]]] = {
    "float32": ("float", np.float32),
    "float64": ("double", np.float64),
}


class Header(NamedTuple):
    """The data that a header is written from.

    Attributes:
        found: the plan of its arithmetic.
        names: its namespace and struct.
        compute: the type of the arithmetic.
        extern_c: whether it has C functions.
        inputs: names, types and shapes of its inputs, in the order of the plan.
        outputs: names, types and shapes of its outputs, likewise.
    """

    found: Plan
    names: CppNames
    compute: Compute
    extern_c: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        """The parameters of its functions, in order."""
        taken = (self.names.struct, *self.names.namespace.split("::"))
        inputs, outputs = (
            [(spec, value.count) for spec, value in zip(specs, values, strict=True)]
            for specs, values in ((self.inputs, self.found.inputs), (self.outputs, self.found.outputs))
        )
        return pointers(inputs, outputs, taken)


def about(header: Header) -> str:
    """Write the comment at the top, up to the metadata."""
    lines = [
        *_about_calls(header),
        "//",
        *_about_use(header.pointers),
        "// right at any optimisation level, and fast with -O2 or -O3 and, where the machine is known, -march=native.",
        "//",
        FORMULAS,
        *(f"//   {line}" for line in _wrapped(header)),
    ]
    if header.extern_c:
        lines += ["//", *about_c(header.names)]
    return "\n".join([*lines, "//", METADATA])


def _about_calls(header: Header) -> list[str]:
    """Write how the functions are called, and with which arguments."""
    model, found = f"{header.names.namespace}::{header.names.struct}", header.pointers
    arguments = ", ".join(pointer.name for pointer in found)
    if len(found) == 2:
        sizes = f"{found[0].count} -> {found[1].count} numbers"
        one = f"x: {found[0].count} floats, y: {found[1].count}" if _is_plain(found) else "one sample"
    else:
        sizes = f"{len(header.inputs)} inputs -> {len(header.outputs)} outputs"
        one = "one sample"
    many = "n samples, one after the other; the same results as one by one"
    return [
        f"// {model}: {sizes}, computed in {header.compute}.",
        "//",
        *_call(f"{model}::predict({arguments});     {one}", wrap=len(found) > 2),
        *_call(f"{model}::predict({arguments}, n);  {many}", wrap=len(found) > 2),
        *([] if _is_plain(found) else ["//", *listed(found)]),
    ]


def _is_plain(found: Sequence[Pointer]) -> bool:
    return len(found) == 2 and all(pointer.is_plain for pointer in found)


def _about_use(found: Sequence[Pointer]) -> list[str]:
    """Write what a caller has to know; the caller of this function continues the last line."""
    anyone = "No allocation, no exception, no state: any number of threads may call it. It is"
    if len(found) == 2:
        return [f"// x and y must not overlap. {anyone}"]
    return [
        "// The numbers of a sample stand row by row, those of several samples one after the other. What is written",
        "// must not overlap anything else. input_count and output_count say how many pointers there are, input_sizes",
        "// and output_sizes how many numbers of a sample each has, and NAME_size says it by name.",
        "//",
        f"// {anyone}",
    ]


def _call(text: str, *, wrap: bool) -> list[str]:
    lines = textwrap.wrap(text, 108, subsequent_indent="    ", break_long_words=False) if wrap else [text]
    return [f"//   {line}" for line in lines]


def _wrapped(header: Header) -> list[str]:
    """Write the formulas, with the names of the outputs if there are several.

    A name from a model file may have any characters, so a formula that is not plain text is quoted, in one line. A
    backslash (or in C its trigraph) at the end of a comment line would continue the comment in the next line.
    """
    outputs = [pointer.name for pointer in header.pointers if not pointer.given]
    lines: list[str] = []
    for line in formulas(header.found.form, outputs if len(header.pointers) > 2 else ()):
        if line.isascii() and line.isprintable() and not any(text in line for text in ("\\", "??/", "@")):
            lines += textwrap.wrap(line, 108, subsequent_indent="    ")
        else:
            lines.append(in_comment(line))
    return lines


def code(header: Header) -> str:
    """Write a header without the comment at the top; the caller fills in ``@hash@`` and the metadata ``@name@``."""
    found, names = header.found, header.names
    real, dtype = _REAL[header.compute]
    parameters = Parameters(np.dtype(dtype))
    stages = functions(found, parameters)
    namespaces = [
        f"namespace {names.namespace} {{",
        "inline namespace model_@hash@ {",
        "inline namespace NALU_EXPORT_TARGET {",
    ]
    body = [
        frame(),
        *namespaces,
        "namespace arithmetic {",
        "",
        f"using real = {real};",
        "",
        kernels(typed=any(pointer.spec.dtype != "float32" for pointer in header.pointers)),
        "// ---- This model ----",
        "",
        parameters.text(),
        "",
        stages,
        "",
        run(found, header.pointers),
        "",
        "}  // namespace arithmetic",
        "",
        struct(names.struct, header.pointers),
        "",
        "}  // inline namespace",
        "}  // inline namespace",
        f"}}  // namespace {names.namespace}",
        "",
        *(f"#undef {macro}" for macro in _macros()),
    ]
    guard = "NALU_EXPORT_HEADER_@hash@"
    parts = [f"#ifndef {guard}", f"#define {guard}", ""]
    if header.extern_c:
        parts += [
            prototypes(names, header.pointers),
            "",
            "#ifdef __cplusplus",
            *body,
            "",
            definitions(names, header.pointers),
            "#endif  // __cplusplus",
        ]
    else:
        parts += body
    return "\n".join([*parts, "", f"#endif  // {guard}", ""])


def frame() -> str:
    """Return the text before the arithmetic: includes and macros."""
    return (_HERE / "frame.hpp").read_text(encoding="ascii")


def kernels(*, typed: bool = False) -> str:
    """Return the arithmetic that every header contains; ``typed`` if an input or output is not float32."""
    names = (*KERNELS, TYPED if typed else FLOATS)
    return "".join((_HERE / name).read_text(encoding="ascii") for name in names)


def _macros() -> list[str]:
    """Return the names of all macros that ``frame.hpp`` defines."""
    lines = frame().splitlines()
    return sorted({line.split()[1].partition("(")[0] for line in lines if line.startswith("#define ")})
