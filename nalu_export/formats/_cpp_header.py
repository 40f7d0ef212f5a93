"""The text of a header around its stages: what it says of itself, its struct, and its functions for C."""

import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import fx

from nalu_export.formats._cpp_names import CppNames
from nalu_export.formats._cpp_plan import Plan
from nalu_export.formats._cpp_samples import name_of
from nalu_export.formats._cpp_stages import calls, functions
from nalu_export.formats._cpp_text import Parameters, in_comment
from nalu_export.graph import formulas
from nalu_export.weights import Compute

# Bytes that a block of samples may take on the stack: two vectors of samples in the first, one in the second, and where
# that is too little sample by sample.
WIDE_BLOCK, BLOCK = 2**18, 2**20
# After it every line of the comment is metadata.
METADATA = "// Metadata:"
_HERE = Path(__file__).parent
KERNELS = ("_cpp_vectors.hpp", "_cpp_functions.hpp", "_cpp_tiles.hpp", "_cpp_passes.hpp")
_REAL: dict[Compute, tuple[str, type[np.floating]]] = {
    "float32": ("float", np.float32),
    "float64": ("double", np.float64),
}


class Header(NamedTuple):
    """What a header is made from.

    Attributes:
        found: the plan of its arithmetic.
        names: of its namespace and struct.
        compute: the type that computes.
        extern_c: whether it has functions for C.
    """

    found: Plan
    names: CppNames
    compute: Compute
    extern_c: bool

    @property
    def inputs(self) -> int:
        """Numbers in a sample."""
        return self.found.input.count

    @property
    def outputs(self) -> int:
        """Numbers in a result."""
        return self.found.output.count


def about(header: Header) -> str:
    """The comment at the top, for a person."""
    model = f"{header.names.namespace}::{header.names.struct}"
    lines = [
        f"// {model}: {header.inputs} -> {header.outputs} numbers, computed in {header.compute}.",
        "//",
        f"//   {model}::predict(x, y);     x: {header.inputs} floats, y: {header.outputs}",
        f"//   {model}::predict(x, y, n);  n samples, one after the other; the same results as one by one",
        "//",
        "// x and y must not overlap. No allocation, no exception, no state: any number of threads may call it. It is",
        "// right at any optimisation level, and fast with -O2 or -O3 and, where the machine is known, -march=native.",
        "//",
        "// What it computes; linear(x, W) is x W^T, and every name is that of the source:",
        *(f"//   {line}" for line in _wrapped(header.found.form)),
    ]
    if header.extern_c:
        lines += ["//", *_about_c(header)]
    return "\n".join([*lines, "//", METADATA])


def _about_c(header: Header) -> list[str]:
    prefix = header.names.prefix
    return [
        "// From C: include this header for the prototypes, and in one C++ file of the program, for the functions,",
        f"//   #define {prefix.upper()}_IMPLEMENTATION",
        "//   #include this header",
        "// With -fno-exceptions that file needs nothing of the C++ runtime, and a C compiler can link the program.",
    ]


def _wrapped(form: fx.GraphModule) -> list[str]:
    """The formulas; a name from a file may be anything, so what is not plain text is quoted, in one line.

    A line of a comment that ends in a backslash, or for C in its trigraph, goes on in the next.
    """
    lines: list[str] = []
    for line in formulas(form):
        if line.isascii() and line.isprintable() and not any(text in line for text in ("\\", "??/", "@")):
            lines += textwrap.wrap(line, 108, subsequent_indent="    ")
        else:
            lines.append(in_comment(line))
    return lines


def code(header: Header) -> str:
    """Everything but the comment; ``@hash@`` and ``@name@`` are still to be filled in."""
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
        kernels(),
        "// ---- This model ----",
        "",
        parameters.text(),
        "",
        stages,
        "",
        _run(header),
        "",
        "}  // namespace arithmetic",
        "",
        _struct(header),
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
            _prototypes(header),
            "",
            "#ifdef __cplusplus",
            *body,
            "",
            _definitions(header),
            "#endif  // __cplusplus",
        ]
    else:
        parts += body
    return "\n".join([*parts, "", f"#endif  // {guard}", ""])


def frame() -> str:
    """What comes before the arithmetic: includes and macros."""
    return (_HERE / "_cpp_frame.hpp").read_text(encoding="ascii")


def kernels() -> str:
    """The arithmetic that every header is written with."""
    return "".join((_HERE / name).read_text(encoding="ascii") for name in KERNELS)


def _macros() -> list[str]:
    """Every macro that the frame defines."""
    lines = frame().splitlines()
    return sorted({line.split()[1].partition("(")[0] for line in lines if line.startswith("#define ")})


def _run(header: Header) -> str:
    found = header.found
    sums = max(sum(name_of(node) == "linear" for node in stage.nodes) for stage in found.stages) if found.stages else 0
    return f"""constexpr std::size_t inputs = {header.inputs}, outputs = {header.outputs};

// Samples of a vector, and bytes that a block of samples takes on the stack: what goes from stage to stage, and the
// sums of a tile.
constexpr std::size_t vector = NALU_EXPORT_BYTES / sizeof(real);
constexpr std::size_t bytes(std::size_t samples) noexcept {{
  return ({found.size} + {16 * sums}) * sizeof(real) * samples;
}}
constexpr std::size_t block = bytes(2 * vector) <= {WIDE_BLOCK} ? 2 * vector : bytes(vector) <= {BLOCK} ? vector : 1;

template <std::size_t S>
inline void run(const float* x, std::size_t samples, float* y) noexcept {{
  alignas(64) real at[{found.size} * S];
  read<real, S, inputs>(x, samples, at + {found.places[found.input]} * S);
{calls(found)}
  write<real, S, outputs>(at + {found.places[found.output]} * S, samples, y);
}}

inline void run_all(const float* x, std::size_t n, float* y) noexcept {{
  for (; n >= block; n -= block, x += block * inputs, y += block * outputs) run<block>(x, block, y);
  if constexpr (block > vector) {{
    if (n >= vector) {{
      run<vector>(x, vector, y);
      n -= vector, x += vector * inputs, y += vector * outputs;
    }}
  }}
  if constexpr (block > 1) {{
    // A block that is not full costs as much as a full one: more than a few samples one by one.
    if (n > vector / 8) {{
      run<vector>(x, n, y);
      n = 0;
    }}
  }}
  for (; n > 0; --n, x += inputs, y += outputs) run<1>(x, 1, y);
}}"""


def _struct(header: Header) -> str:
    return f"""struct {header.names.struct} {{
  static constexpr std::size_t inputs = {header.inputs};
  static constexpr std::size_t outputs = {header.outputs};
  // What predict takes on the stack, about.
  static constexpr std::size_t stack_bytes = arithmetic::bytes(arithmetic::block);

  static constexpr const char* tool = @tool@;
  static constexpr const char* source_sha256 = @source_sha256@;
  static constexpr const char* compute = @compute@;

  // One sample: x[inputs] -> y[outputs].
  static void predict(const float* x, float* y) noexcept {{ arithmetic::run<1>(x, 1, y); }}

  // n samples, one after the other: x[n][inputs] -> y[n][outputs].
  static void predict(const float* x, float* y, std::size_t n) noexcept {{ arithmetic::run_all(x, n, y); }}
}};"""


def _prototypes(header: Header) -> str:
    prefix = header.names.prefix
    return f"""#include <stddef.h>

#ifdef __cplusplus
extern "C" {{
#endif
enum {{ {prefix}_inputs = {header.inputs}, {prefix}_outputs = {header.outputs} }};
void {prefix}_predict(const float* x, float* y);
void {prefix}_predict_batch(const float* x, float* y, size_t n);
#ifdef __cplusplus
}}
#endif"""


def _definitions(header: Header) -> str:
    prefix, model = header.names.prefix, f"{header.names.namespace}::{header.names.struct}"
    return f"""#ifdef {prefix.upper()}_IMPLEMENTATION
extern "C" void {prefix}_predict(const float* x, float* y) {{ {model}::predict(x, y); }}
extern "C" void {prefix}_predict_batch(const float* x, float* y, size_t n) {{ {model}::predict(x, y, n); }}
#endif"""
