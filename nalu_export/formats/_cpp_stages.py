"""The stages of a header as C++, one function for each."""

import math

from torch import fx

from nalu_export.formats._cpp_plan import Plan, Stage, Value, held_as, name_of, reads
from nalu_export.formats._cpp_text import Array, Parameters, in_comment
from nalu_export.formats._cpp_tile import Naming, Tile
from nalu_export.graph import label_of
from nalu_export.graph.evaluation import constant


def functions(found: Plan, parameters: Parameters) -> str:
    """A function template for each stage of a plan; ``S`` is the number of samples.

    Args:
        found: the plan.
        parameters: collects the arrays that the functions read.
    """
    return "\n\n".join(_function(found, number, parameters) for number in range(len(found.stages)))


def calls(found: Plan) -> str:
    """The calls of all stages in order; ``at`` is where the values stand."""
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
    names = [in_comment(name) for node in stage.nodes if (name := label_of(node))]
    return "\n".join(
        [
            f"// {', '.join(names)}",
            "template <std::size_t S>",
            f"NALU_EXPORT_INLINE void stage_{number + 1}({', '.join(arguments)}) noexcept {{",
            *(f"  {line}" for line in body),
            "}",
        ]
    )


def _tiles(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    sums: list[str] = []
    for node in stage.nodes:
        if name_of(node) == "linear":
            x = naming.pointer(held_as(found, node, node.all_input_nodes[0]))
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
    """A ``linear`` of several rows for each sample."""
    (node,), (value,) = stage.nodes, stage.outputs
    outputs, inputs = stage.shape[-1], _weight(found, node).shape[1]
    x = f"{naming.pointer(held_as(found, node, node.all_input_nodes[0]))} + row * {inputs} * S"
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


def _product(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    del parameters
    (node,), (value,) = stage.nodes, stage.outputs
    (argument,) = node.all_input_nodes
    # The shape in which it is read, which the place of its numbers does not know.
    shape, dim = found.shapes[argument], node.args[1]
    assert isinstance(dim, int)
    axis = dim % (len(shape) + 1) - 1
    sizes = ", ".join(str(size) for size in (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
    return [f"product<real, S, {sizes}>({naming.pointer(held_as(found, node, argument))}, {naming.pointer(value)});"]


def _expand(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    """A value repeated along axes."""
    del parameters
    (node,), (value,) = stage.nodes, stage.outputs
    assert value.view is not None
    view = (1,) * (len(stage.shape) - len(value.view)) + value.view
    steps = [0 if size == 1 else math.prod(view[axis + 1 :]) for axis, size in enumerate(view)]
    place = " + ".join(f"i{axis} * {step}" for axis, step in enumerate(steps) if step) or "0"
    source, result = naming.pointer(Value(node, found.shapes[node])), naming.pointer(value)
    loops = [
        f"{'  ' * axis}for (std::size_t i{axis} = 0; i{axis} < {size}; ++i{axis})"
        for axis, size in enumerate(stage.shape)
    ]
    copy = f"for (std::size_t s = 0; s < S; ++s) *{result}++ = {source}[({place}) * S + s];"
    return [*loops, f"{'  ' * len(loops)}{copy}"]


_BODIES = {"tiles": _tiles, "rows": _rows, "prod": _product, "expand": _expand}


def _each_tile(outputs: int) -> list[str]:
    return [
        f"each_tile<{outputs}>([&](auto wide, std::size_t o) noexcept {{",
        "  constexpr std::size_t P = decltype(wide)::value;",
        "  using R = tile<real, S, P>;",
    ]


def _sums(found: Plan, node: fx.Node, parameters: Parameters, x: str, to: str) -> list[str]:
    """The sums of a tile."""
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
