"""Writes the entry points of a header: its struct, and the functions that run the stages over blocks of samples."""

from collections.abc import Sequence

from nalu_export.formats.cpp.plan import Plan
from nalu_export.formats.cpp.pointers import Pointer
from nalu_export.formats.cpp.samples import name_of
from nalu_export.formats.cpp.stages import calls

# Bytes that a block of samples may take on the stack. A block has two vectors of samples if these fit in WIDE_BLOCK,
# one vector if it fits in BLOCK, and one sample otherwise.
WIDE_BLOCK, BLOCK = 2**18, 2**20


def run(found: Plan, pointers: Sequence[Pointer]) -> str:
    """Write the functions ``run``, for one block of samples, and ``run_all``, for any number of samples."""
    sums = max((sum(name_of(node) == "linear" for node in stage.nodes) for stage in found.stages), default=0)
    edges = _Edges(found, pointers)
    return f"""constexpr std::size_t {edges.sizes};

// Samples of a vector, and bytes that a block of samples takes on the stack: what goes from stage to stage, and the
// sums of a tile.
constexpr std::size_t vector = NALU_EXPORT_BYTES / sizeof(real);
constexpr std::size_t bytes(std::size_t samples) noexcept {{
  return ({found.size} + {16 * sums}) * sizeof(real) * samples;
}}
constexpr std::size_t block = bytes(2 * vector) <= {WIDE_BLOCK} ? 2 * vector : bytes(vector) <= {BLOCK} ? vector : 1;

template <std::size_t S>
inline void run({edges.parameters("samples")}) noexcept {{
  alignas(64) real at[{found.size} * S];
{edges.reads}
{calls(found)}
{edges.writes}
}}

inline void run_all({edges.parameters("n")}) noexcept {{
  for (; n >= block; n -= block, {edges.advanced("block")}) run<block>({edges.arguments("block")});
  if constexpr (block > vector) {{
    if (n >= vector) {{
      run<vector>({edges.arguments("vector")});
      n -= vector, {edges.advanced("vector")};
    }}
  }}
  if constexpr (block > 1) {{
    // A block that is not full costs as much as a full one: more than a few samples one by one.
    if (n > vector / 8) {{
      run<vector>({edges.arguments("n")});
      n = 0;
    }}
  }}
  for (; n > 0; --n, {edges.advanced()}) run<1>({edges.arguments("1")});
}}"""


class _Edges:
    """Texts about the arguments of ``run``: inputs, the number of samples, outputs."""

    def __init__(self, found: Plan, pointers: Sequence[Pointer]) -> None:
        self._pointers, self._inputs = pointers, len(found.inputs)
        self.sizes = ", ".join(f"{pointer.size} = {pointer.count}" for pointer in pointers)
        values = list(zip(pointers, (*found.inputs, *found.outputs), strict=True))
        given = {value: pointer for pointer, value in values[: self._inputs]}
        self.reads = "\n".join(
            f"  read<real, S, {pointer.size}>({pointer.inside}, samples, at + {found.places[value]} * S);"
            for pointer, value in values[: self._inputs]
        )
        self.writes = "\n".join(
            _written(pointer, given.get(value), f"at + {found.places[value]} * S")
            for pointer, value in values[self._inputs :]
        )

    def parameters(self, samples: str) -> str:
        texts = [f"{pointer.type} {pointer.inside}" for pointer in self._pointers]
        return self._around(f"std::size_t {samples}", texts)

    def arguments(self, samples: str) -> str:
        return self._around(samples, [pointer.inside for pointer in self._pointers])

    def advanced(self, samples: str = "") -> str:
        """Write the statements that advance all pointers, by one sample or by ``samples``."""
        times = f"{samples} * " if samples else ""
        return ", ".join(f"{pointer.inside} += {times}{pointer.size}" for pointer in self._pointers)

    def _around(self, samples: str, texts: list[str]) -> str:
        return ", ".join([*texts[: self._inputs], samples, *texts[self._inputs :]])


def _written(pointer: Pointer, source: Pointer | None, place: str) -> str:
    """Write the statement that stores an output.

    ``source`` is the input that the output is identical to, if there is one. Its numbers are copied directly where the
    type ``real`` might not hold them.
    """
    if source is not None and source.spec.dtype == pointer.spec.dtype != "float32":
        return f"  pass<{pointer.size}>({source.inside}, samples, {pointer.inside});"
    return f"  write<real, S, {pointer.size}>({place}, samples, {pointer.inside});"


def struct(name: str, pointers: Sequence[Pointer]) -> str:
    """Write the struct, the only part of a header that a C++ program uses."""
    inputs = [pointer for pointer in pointers if pointer.given]
    outputs = [pointer for pointer in pointers if not pointer.given]
    parameters = ", ".join(f"{pointer.type} {pointer.name}" for pointer in pointers)
    given, made = (", ".join(pointer.name for pointer in side) for side in (inputs, outputs))
    several = len(pointers) > 2
    sizes = _several(inputs, outputs) if several else _single(*pointers)
    one, many = "", ""
    if not several:
        one, many = ": x[inputs] -> y[outputs]", ": x[n][inputs] -> y[n][outputs]"
    return f"""struct {name} {{
{sizes}
  // What predict takes on the stack, about.
  static constexpr std::size_t stack_bytes = arithmetic::bytes(arithmetic::block);

  static constexpr const char* tool = @tool@;
  static constexpr const char* source_sha256 = @source_sha256@;
  static constexpr const char* compute = @compute@;

  // One sample{one}.
  static void predict({parameters}) noexcept {{ arithmetic::run<1>({given}, 1, {made}); }}

  // n samples, one after the other{many}.
  static void predict({parameters}, std::size_t n) noexcept {{ arithmetic::run_all({given}, n, {made}); }}
}};"""


def _single(x: Pointer, y: Pointer) -> str:
    return f"""  static constexpr std::size_t inputs = {x.count};
  static constexpr std::size_t outputs = {y.count};"""


def _several(inputs: Sequence[Pointer], outputs: Sequence[Pointer]) -> str:
    lines = [
        f"static constexpr std::size_t input_count = {len(inputs)};",
        f"static constexpr std::size_t output_count = {len(outputs)};",
        "// Numbers in a sample of each, in the order of predict, and by name.",
        f"static constexpr std::size_t input_sizes[] = {{{', '.join(str(pointer.count) for pointer in inputs)}}};",
        f"static constexpr std::size_t output_sizes[] = {{{', '.join(str(pointer.count) for pointer in outputs)}}};",
        *(f"static constexpr std::size_t {pointer.name}_size = {pointer.count};" for pointer in (*inputs, *outputs)),
    ]
    return "\n".join(f"  {line}" for line in lines)
