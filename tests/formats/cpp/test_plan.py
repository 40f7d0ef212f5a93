"""formats.cpp.plan: stages, and places that hold a value as long as something reads it."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export import NAC, NALU, ArithmeticLayer
from nalu_export.formats.cpp.moves import Shape
from nalu_export.formats.cpp.plan import LINE, Plan, Value, reads
from nalu_export.formats.cpp.planner import plan
from nalu_export.formats.cpp.samples import kind_of
from nalu_export.graph import well_conditioned
from nalu_export.graph.folding import Compute
from nalu_export.nn import NACCell
from tests.captured import form_of
from tests.formats.families import MODELS, features_of
from tests.formats.graphs import Drawing


def _plan(model: nn.Module, features: int, compute: Compute = "float32") -> Plan:
    return plan(well_conditioned(form_of(model, "folded", compute, (features,))), [(features,)])


class _Formula(ArithmeticLayer):
    """Any function as a layer."""

    def __init__(self, function: Callable[..., Tensor], features: int = 3, **constants: Tensor) -> None:
        super().__init__()
        self.in_features = self.out_features = features
        self.function, self.names = function, tuple(constants)
        for name, value in constants.items():
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *(getattr(self, name) for name in self.names))


def check_places(found: Plan) -> None:
    """Lives through the plan with a memory that knows whose each number is."""
    memory: list[Value | None] = [None] * found.size
    written = sum(_write(memory, found, value) for value in found.inputs)
    for stage in found.stages:
        needed = reads(found, stage)
        for value in needed:
            assert _whose(memory, found, value) == {value}, "it was overwritten, or not computed yet"
        # All of them at once: what a stage reads may be wanted until it has written its last number.
        places = [_cells(found, value) for value in (*needed, *stage.outputs)]
        assert sum(map(len, places)) == len(set().union(*places))
        for value in stage.outputs:
            written += _write(memory, found, value)
    assert all(_whose(memory, found, value) == {value} for value in found.outputs)
    assert written == len(found.places)


def _cells(found: Plan, value: Value) -> set[int]:
    first = found.places[value]
    assert first % LINE == 0
    return set(range(first, first + value.count))


def _whose(memory: list[Value | None], found: Plan, value: Value) -> set[Value | None]:
    return {memory[cell] for cell in _cells(found, value)}


def _write(memory: list[Value | None], found: Plan, value: Value) -> int:
    for cell in _cells(found, value):
        memory[cell] = value
    return 1


def check_order(found: Plan) -> None:
    """Every node is in one stage, after what it reads."""
    done = set(found.inputs)
    for stage in found.stages:
        assert {piece.value for piece in stage.pieces} <= done
        made = {value.node: value for value in stage.outputs}
        for node in stage.nodes:
            assert all(node is not other.node or other.copied for other in done)
            for argument in set(node.all_input_nodes) & set(found.shapes):
                if stage.kind != "copy":
                    value = found.reads[node, argument].value
                    assert value in done or value.node in stage.nodes[: stage.nodes.index(node)]
            made.setdefault(node, Value(node, found.shapes[node]))
        done |= set(made.values())
    computed = {value.node for value in done}
    assert {node for node in found.shapes if kind_of(node) not in ("", "cast", "shape")} <= computed


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_models(name: str, compute: Compute) -> None:
    found = _plan(MODELS[name](), features_of(name), compute)
    check_places(found)
    check_order(found)


class _Random(ArithmeticLayer):
    """Whatever is drawn: each step reads any of the values before it.

    Args:
        steps: kind, two numbers that choose what is read, and a size.
    """

    def __init__(self, steps: list[tuple[str, int, int, int]]) -> None:
        super().__init__()
        self.in_features, self.out_features, self.steps = 3, 2, steps

    def forward(self, x: Tensor) -> Tensor:
        values, sizes = [x], [3]
        for kind, first, second, size in self.steps:
            a, wide = values[first % len(values)], sizes[first % len(values)]
            if kind == "linear":
                value, wide = F.linear(a, torch.ones(size, wide)), size
            elif kind == "prod":
                value, wide = torch.prod(a.unsqueeze(-2) * torch.ones(size, wide), dim=-1), size
            elif kind == "rows":
                rows = F.linear(a.unsqueeze(-2) * torch.ones(size, wide), torch.ones(4, wide))
                value, wide = torch.prod(torch.exp(rows), dim=-1), size
            elif kind == "abs":
                value = torch.abs(a)
            else:
                same = [k for k, other in enumerate(sizes) if other in (wide, 1)]
                b = values[same[second % len(same)]]
                value = a * b if kind == "mul" else a - b
            values.append(value)
            sizes.append(wide)
        total = F.linear(values[-1], torch.ones(2, sizes[-1]))
        for value, wide in list(zip(values, sizes, strict=True))[:-1]:
            total = total + F.linear(value, torch.ones(2, wide))
        return total


STEPS = st.tuples(
    st.sampled_from(["linear", "prod", "rows", "abs", "mul", "sub"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(1, 40),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(STEPS, max_size=10))
def test_random_graphs(steps: list[tuple[str, int, int, int]]) -> None:
    found = _plan(_Random(steps), 3)
    check_places(found)
    check_order(found)


@pytest.mark.parametrize(
    ("model", "stages"),
    [
        (NALU(16, 32, 1), 3),
        (NALU(4, 4), 2),
        (NALU(*[8] * 5), 5),
        (NAC(3, 4, 2), 2),
        (NACCell(3, 2), 1),
    ],
)
def test_number_of_stages(model: nn.Module, stages: int) -> None:
    """A gate, both of its paths and the logarithm for the next cell are one pass over the features."""
    assert len(_plan(model, model.in_features if hasattr(model, "in_features") else model.dims[0]).stages) == stages  # type: ignore[arg-type, index]


def test_no_stage_where_nothing_is_computed() -> None:
    found = plan(fx.symbolic_trace(nn.Identity()), [(3,)])
    assert (found.stages, found.outputs) == ([], found.inputs)
    check_places(found)


def test_a_deep_stack() -> None:
    """More stages than Python's stack has frames; two places are enough for them."""

    def forward(x: Tensor, W: Tensor) -> Tensor:
        for _ in range(1200):
            x = F.linear(x, W)
        return x

    found = _plan(_Formula(forward, 1, W=torch.ones(1, 1)), 1)
    assert len(found.stages) == 1200
    assert found.size == 2 * LINE
    check_places(found)


def test_places_are_used_again() -> None:
    assert _plan(NALU(*[40] * 9), 40).size == _plan(NALU(*[40] * 5), 40).size


def test_kinds_of_stages() -> None:
    def forward(x: Tensor, W: Tensor, V: Tensor) -> Tensor:
        a = F.linear(x, W)
        rows = F.linear(x.unsqueeze(-2) * W, V)
        repeated = rows * torch.sign(a).unsqueeze(-1)
        p = torch.prod(repeated, dim=-1)
        return p + a

    found = _plan(_Formula(forward, 3, W=torch.ones(2, 3), V=torch.ones(5, 3)), 3)
    assert [(stage.kind, stage.shape) for stage in found.stages] == [
        ("copy", (2, 3)),  # x, for each row of W
        ("tiles", (2, 3)),
        ("tiles", (2,)),  # a and its sign
        ("copy", (2, 5)),  # the sign, for each number of the rows
        ("rows", (2, 5)),
        ("tiles", (2, 5)),
        ("reduce", (2,)),
        ("tiles", (2,)),
    ]
    check_places(found)


def test_one_number_is_repeated_without_a_stage() -> None:
    def forward(x: Tensor, W: Tensor) -> Tensor:
        return x * F.linear(x, W)

    found = _plan(_Formula(forward, 3, W=torch.ones(1, 3)), 3)
    assert [stage.kind for stage in found.stages] == ["tiles", "tiles"]
    check_places(found)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (1, 1)])
def test_constants_that_are_the_same_for_every_sample(shape: Shape) -> None:
    found = _plan(_Formula(lambda x, c: x + c, 3, c=torch.full(shape, 2.0)), 3)
    assert [stage.shape for stage in found.stages] == [(3,)]


def _several(*results: str) -> Plan:
    """Of two inputs of shape (2, 3) and what is made of them; the results by name."""
    d = Drawing()
    a, b = d.x, d.given("b")
    made = {"a": a, "b": b, "a * b": d("mul", a, b), "c": d.random(1, 2)}
    made |= {
        "turned": d("transpose", b, 1, 2),
        "flat": d("reshape", a, [-1, 6]),
        "sum": d("sum", made["a * b"], [2], True),
    }
    return plan(d.giving(*(made[name] for name in results)), [(2, 3), (2, 3)])


@pytest.mark.parametrize(
    ("results", "kinds"),
    [
        (("a * b",), ["tiles"]),
        (("a * b", "a * b"), ["tiles"]),
        (("a", "b", "flat"), []),
        (("turned", "turned"), ["copy"]),
        (("c", "c", "sum", "a"), ["constant", "tiles", "reduce"]),
        (("sum", "a * b", "turned", "b"), ["tiles", "reduce", "copy"]),
    ],
)
def test_several_inputs_and_outputs(results: tuple[str, ...], kinds: list[str]) -> None:
    """Each is held until the end, once however often it is given; inputs and views of them need no stage."""
    found = _several(*results)
    assert sorted(stage.kind for stage in found.stages) == sorted(kinds)
    assert len(found.outputs) == len(found.results) == len(results)
    assert len(set(found.outputs)) == len({name.replace("flat", "a") for name in results})
    check_places(found)
    check_order(found)


def test_an_output_that_is_overwritten_is_seen() -> None:
    """The check of the tests above."""
    found = _several("a * b", "sum")
    found.places[found.outputs[1]] = found.places[found.outputs[0]]
    with pytest.raises(AssertionError):
        check_places(found)
