"""Writes each stage of a header as a C++ function."""

import math

from torch import fx

from nalu_export.formats.cpp.loops import nested
from nalu_export.formats.cpp.matmul import matmul
from nalu_export.formats.cpp.plan import Plan, Stage, reads
from nalu_export.formats.cpp.primitives import REDUCTIONS
from nalu_export.formats.cpp.samples import name_of
from nalu_export.formats.cpp.text import Array, Parameters, in_comment
from nalu_export.formats.cpp.tile import Naming, Tile, repeated
from nalu_export.graph import label_of
from nalu_export.graph.evaluation import constant

# Up to this many stages are inlined into one function. With more stages, none is inlined: compilers take more than
# twice as long for a function of twice the length.
STAGES_IN_ONE = 8


def functions(found: Plan, parameters: Parameters) -> str:
    """Write a function template for each stage of a plan; ``S`` is the number of samples.

    Args:
        found: the plan.
        parameters: collects the arrays that the functions read.
    """
    return "\n\n".join(_function(found, number, parameters) for number in range(len(found.stages)))


def calls(found: Plan) -> str:
    """Write the calls of all stages in order; ``at`` is the memory that holds the values."""
    lines = []
    for number, stage in enumerate(found.stages):
        places = [f"at + {found.places[value]} * S" for value in (*reads(found, stage), *stage.outputs)]
        lines.append(f"  stage_{number + 1}<S>({', '.join(places)});")
    return "\n".join(lines)


def _function(found: Plan, number: int, parameters: Parameters) -> str:
    stage = found.stages[number]
    naming = Naming(found)
    arguments = [f"const real* {naming.pointer(value)}" for value in reads(found, stage)]
    arguments += [f"real* {naming.pointer(value)}" for value in stage.outputs]
    body = _BODIES[stage.kind](found, stage, parameters, naming)
    inline = "NALU_EXPORT_INLINE" if len(found.stages) <= STAGES_IN_ONE else "NALU_EXPORT_NOINLINE"
    nodes = stage.nodes or [piece.value.node for piece in stage.pieces]
    names = [in_comment(name) for node in nodes if (name := label_of(node))]
    return "\n".join(
        [
            f"// {', '.join(names)}".rstrip(),
            "template <std::size_t S>",
            f"{inline} void stage_{number + 1}({', '.join(arguments)}) noexcept {{",
            *(f"  {line}" for line in body),
            "}",
        ]
    )


def _tiles(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    sums: list[str] = []
    for node in stage.nodes:
        if name_of(node) == "linear":
            x = naming.start(found.reads[node, node.all_input_nodes[0]])
            sums += _sums(found, node, parameters, x, naming.sums(node))
    lines = Tile(found, stage, parameters, naming).lines()
    stores = [
        f"R::store({naming.pointer(value)} + o * S, k, {naming.variable(value.node)});" for value in stage.outputs
    ]
    uses = ["using M = typename R::simd_t;"] if any("M::" in line for line in lines) else []
    return [
        *_each_tile(stage.count),
        *(f"  {line}" for line in uses),
        *(f"  {line}" for line in sums),
        "  NALU_EXPORT_UNROLL",
        "  for (std::size_t k = 0; k < R::count; ++k) {",
        *(f"    {line}" for line in (*lines, *stores)),
        "  }",
        "});",
    ]


def _rows(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    """Write a ``linear`` of several rows per sample."""
    (node,), (value,) = stage.nodes, stage.outputs
    outputs, inputs = stage.shape[-1], _weight(found, node).shape[1]
    x = naming.start(found.reads[node, node.all_input_nodes[0]], f"row * {inputs}")
    result = "sum[k]"
    if isinstance(node.args[2], fx.Node):
        target = str(node.args[2].target)
        bias = constant(found.form, target).detach().numpy()
        result += f" + R::constant({parameters.constant(target, bias, (outputs,))} + o, k)"
    return [
        f"for (std::size_t row = 0; row < {math.prod(stage.shape[:-1])}; ++row) {{",
        *(f"  {line}" for line in _each_tile(outputs)),
        *(f"    {line}" for line in _sums(found, node, parameters, x, "sum")),
        "    for (std::size_t k = 0; k < R::count; ++k) {",
        f"      R::store({naming.pointer(value)} + (row * {outputs} + o) * S, k, {result});",
        "    }",
        "  });",
        "}",
    ]


def _reduction(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    del parameters
    (node,), (value,) = stage.nodes, stage.outputs
    x = naming.start(found.reads[node, node.all_input_nodes[0]])
    sizes = ", ".join(map(str, stage.sizes))
    return [f"reduce<{REDUCTIONS[name_of(node)]}, real, S, {sizes}>({x}, {naming.pointer(value)});"]


def _copy(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    """Write a copy of numbers in another order, repeated, or from several values."""
    del found, parameters
    (value,) = stage.outputs
    lines: list[str] = []
    for piece in stage.pieces:
        source, target = naming.pointer(piece.value), naming.pointer(value)

        def statement(places: list[str], count: int, source: str = source, target: str = target) -> str:
            return f"move<real, S, {count}>({source} + ({places[0]}) * S, {target} + ({places[1]}) * S);"

        lines += nested(statement, piece.source, piece.target, together=True)
    return lines


def _constant(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    """Write numbers that are the same for every sample."""
    (value,) = stage.outputs
    target = str(value.node.target)
    text = repeated(parameters, target, constant(found.form, target).detach().numpy(), stage.shape)
    return [
        *_each_tile(stage.count),
        *(["  using M = typename R::simd_t;"] if "M::" in text else []),
        f"  for (std::size_t k = 0; k < R::count; ++k) R::store({naming.pointer(value)} + o * S, k, {text});",
        "});",
    ]


_BODIES = {
    "tiles": _tiles,
    "rows": _rows,
    "reduce": _reduction,
    "matmul": matmul,
    "copy": _copy,
    "constant": _constant,
}


def _each_tile(outputs: int) -> list[str]:
    return [
        f"each_tile<{outputs}>([&](auto wide, std::size_t o) noexcept {{",
        "  constexpr std::size_t P = decltype(wide)::value;",
        "  using R = tile<real, S, P>;",
    ]


def _sums(found: Plan, node: fx.Node, parameters: Parameters, x: str, to: str) -> list[str]:
    """Write the sums of a tile."""
    weight = _weight(found, node)
    name, inputs = parameters.weight(_target(node), weight), weight.shape[1]
    return [
        f"typename R::V {to}[R::count];",
        f"linear<real, S, P, {inputs}>({name} + o * {inputs}, {x}, {to});",
    ]


def _target(node: fx.Node) -> str:
    assert isinstance(node.args[1], fx.Node)
    return str(node.args[1].target)


def _weight(found: Plan, node: fx.Node) -> Array:
    return constant(found.form, _target(node)).detach().numpy()
