"""nalu_export.primitives: every record is whole, and what is common to all of them."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx

from nalu_export.formats.cpp.primitives import EXPRESSIONS, PRODUCTS, REDUCTIONS
from nalu_export.formats.onnx.primitives import EMITTERS
from nalu_export.modules import jit
from nalu_export.primitives import BY_NAME, COMPOSITIONS, PRIMITIVES, Conditioned, Primitive
from nalu_export.primitives.precision import FLOAT32, FLOAT64
from tests.primitives.balls import ball
from tests.primitives.cases import CASES

MOVING = ("shape", "cast")


def missing(primitive: Primitive) -> list[str]:
    """What a primitive lacks."""
    lacks = []
    if primitive.kind not in MOVING:
        lacks += [field for field in ("unit", "radius") if getattr(primitive, field) is None]
    if primitive.name not in primitive.names and primitive.kind != "cast":
        lacks.append("its name in torch")
    # The well-conditioned form has no sigmoid.
    if primitive.name not in EMITTERS and primitive.name != "sigmoid":
        lacks.append("an emitter in formats/onnx/primitives.py")
    if primitive.kind not in MOVING and primitive.name not in {*EXPRESSIONS, *REDUCTIONS, *PRODUCTS, "sigmoid"}:
        lacks.append("code in formats/cpp/primitives.py")
    if primitive.kind not in MOVING and primitive.name not in CASES:
        lacks.append("a case in tests/primitives/cases.py")
    return lacks


def test_no_primitive_lacks_anything() -> None:
    assert {name: missing(primitive) for name, primitive in PRIMITIVES.items() if missing(primitive)} == {}


def test_what_a_primitive_lacks_is_told() -> None:
    bare = Primitive("bare", torch.neg, ("input",))
    assert missing(bare) == [
        *("unit", "radius", "its name in torch", "an emitter in formats/onnx/primitives.py"),
        *("code in formats/cpp/primitives.py", "a case in tests/primitives/cases.py"),
    ]


def test_a_name_means_one_primitive() -> None:
    names = [name for primitive in PRIMITIVES.values() for name in primitive.names]
    assert len(names) == len(set(names)) == len(BY_NAME)
    assert all(BY_NAME[name] is primitive for primitive in PRIMITIVES.values() for name in primitive.names)


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in COMPOSITIONS])
def test_every_name_is_one_of_torch(name: str) -> None:
    places: list[Any] = [torch, torch.nn.functional, __import__("operator"), Tensor, torch.ops.aten]
    assert any(hasattr(place, name) for place in places)


@pytest.mark.parametrize("name", CASES)
def test_a_graph_of_it_runs_in_plain_torch(name: str) -> None:
    """And in TorchScript, which formats trace such a graph into."""
    case = CASES[name]
    arrays = [torch.from_numpy(array[:20]) for array in case.drawn(np.float32, 0)]
    given = [array != 0 if place in case.masks else array for place, array in enumerate(arrays)]
    graph = fx.Graph()
    inputs = [graph.placeholder(f"x{place}") for place in range(len(given))]
    graph.output(graph.call_function(PRIMITIVES[name].function, (*inputs, *case.rest)))
    module = fx.GraphModule(torch.nn.Module(), graph)
    wanted = PRIMITIVES[name].function(*given, *case.rest)
    torch.testing.assert_close(module(*given), wanted, rtol=0, atol=0, equal_nan=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = jit.trace(module, tuple(given))
        torch.testing.assert_close(traced(*given), wanted, rtol=1e-6, atol=0, equal_nan=True)


# Shapes -------------------------------------------------------------------------------------------------------------

_MOVES: dict[str, tuple[Callable[[Any], Any], tuple[Any, ...]]] = {
    "reshape": (lambda x: x.reshape(3, 2), ((3, 2),)),
    "flatten": (lambda x: x.flatten(), (0, -1)),
    "transpose": (lambda x: x.transpose(0, 1), (0, 1)),
    "permute": (lambda x: x.permute(1, 0), ((1, 0),)),
    "squeeze": (lambda x: x, (0,)),
    "unsqueeze": (lambda x: x.unsqueeze(1), (1,)),
    "expand": (lambda x: x.expand(4, 2, 3), ((4, -1, 3),)),
    "slice": (lambda x: x[:, 1:], (1, 1, None, 1)),
    "select": (lambda x: x[:, 2], (1, 2)),
}


@pytest.mark.parametrize("name", _MOVES)
def test_a_shape_moves_every_attribute(name: str) -> None:
    function, rest = _MOVES[name]
    fields = ("value", "size", "error", "radius", "overflow", "lost", "zero")
    x = Conditioned(**{field: torch.arange(6.0).reshape(2, 3) + k for k, field in enumerate(fields)}, least=0.5)
    found = PRIMITIVES[name].conditioned(FLOAT32, x, *rest)
    for field in fields:
        assert torch.equal(getattr(found, field), function(getattr(x, field))), field
    assert found.least == 0.5


@pytest.mark.parametrize("name", ["cat", "stack"])
def test_lists_are_joined_with_every_attribute(name: str) -> None:
    x, y = ball([[1.0, 2.0]], 0.1), ball([[1e39, 3.0]], 0.2)
    found = PRIMITIVES[name].conditioned(FLOAT32, [x, y, torch.zeros(1, 2)], 1)
    assert found.radius.flatten().tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.0, 0.0])
    assert found.value.flatten().tolist() == [1.0, 2.0, 1e39, 3.0, 0.0, 0.0]


def test_every_shape_is_tried() -> None:
    assert {*_MOVES, "cat", "stack"} == {name for name, primitive in PRIMITIVES.items() if primitive.kind == "shape"}


def test_a_cast_changes_nothing() -> None:
    x = ball([1.0, 1e300], 0.25)
    assert PRIMITIVES["cast"].conditioned(FLOAT32, x, torch.float32) is x


# Arguments that are no values ----------------------------------------------------------------------------------------


def test_a_plain_tensor_is_exact_up_to_its_rounding() -> None:
    x = ball([1.0, 2.0])
    assert PRIMITIVES["mul"].conditioned(FLOAT64, x, torch.zeros(2)).radius.tolist() == [0.0, 0.0]
    written = PRIMITIVES["maximum"].conditioned(FLOAT32, x, torch.tensor([0.1, 3.1], dtype=torch.float64))
    assert written.radius.tolist() == [0.0, pytest.approx(abs(torch.tensor(3.1).item() - 3.1), rel=1e-6)]
    mask = PRIMITIVES["where"].conditioned(FLOAT32, torch.tensor([True, False]), x, 7.0)
    assert mask.value.tolist() == [1.0, 7.0]


# Flags --------------------------------------------------------------------------------------------------------------


def _flagged() -> Conditioned:
    """Three samples of four values, of which one is too large for float32 and nothing is known of another."""
    value = torch.ones(3, 4, dtype=torch.float64)
    overflow, lost = (torch.zeros(3, 4, dtype=torch.int8) for _ in range(2))
    overflow[1, 2], lost[2, 0] = 1, 1
    return replace(ball(value), overflow=overflow, lost=lost)


@pytest.mark.parametrize(
    ("name", "rest", "overflow", "lost"),
    [
        ("neg", (), [(1, 2)], [(2, 0)]),
        ("add", (1.0,), [(1, 2)], [(2, 0)]),
        ("sum", (-1, False), [(1,)], [(2,)]),
        ("sum", (0, False), [(2,)], [(0,)]),
        ("amax", ((), False), [()], [()]),
        ("prod", (1, True), [(1, 0)], [(2, 0)]),
        ("linear", (torch.ones(2, 4), None), [(1, 0), (1, 1)], [(2, 0), (2, 1)]),
        ("matmul", (torch.ones(4, 2),), [(1, 0), (1, 1)], [(2, 0), (2, 1)]),
        ("matmul", (torch.ones(4),), [(1,)], [(2,)]),
        ("transpose", (0, 1), [(2, 1)], [(0, 2)]),
    ],
)
def test_flags_go_where_the_value_goes(name: str, rest: tuple[Any, ...], overflow: list[Any], lost: list[Any]) -> None:
    found = PRIMITIVES[name].conditioned(FLOAT32, _flagged(), *rest)
    for flag, places in ((found.overflow, overflow), (found.lost, lost)):
        wanted = torch.zeros_like(flag)
        for place in places:
            wanted[place] = 1
        assert torch.equal(flag, wanted)


def test_a_flagged_constant_reaches_every_sample() -> None:
    flags = torch.tensor([[0, 0], [1, 0], [0, 0]], dtype=torch.int8)
    weight = replace(ball([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]), overflow=flags)
    found = PRIMITIVES["linear"].conditioned(FLOAT32, ball([[1.0, 2.0]] * 2), weight, None)
    assert found.overflow.tolist() == [[0, 1, 0]] * 2


def test_what_is_not_chosen_is_not_demanded() -> None:
    x = ball([-1.0, 2.0, 0.0], [0.0, 0.0, 1e-3])
    log = PRIMITIVES["log"].conditioned(FLOAT32, x)
    assert log.lost.tolist() == [1, 0, 1]
    positive = PRIMITIVES["gt"].conditioned(FLOAT32, x, 0.0)
    assert (positive.value.tolist(), positive.radius.tolist()) == ([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    chosen = PRIMITIVES["where"].conditioned(FLOAT32, positive, log, 0.0)
    assert chosen.lost.tolist() == [0, 0, 1]
    assert chosen.value.tolist()[0] == 0.0


# Lower bounds -------------------------------------------------------------------------------------------------------


def test_an_epsilon_keeps_a_logarithm_bounded() -> None:
    """``log(|x| + ε)`` of an x that may be 0: its ball holds numbers below ε, its evaluations do not."""
    x = ball([0.0, 1e-6, -3.0], [1e-6, 2e-6, 1e-6])
    for eps in (1e-10, torch.tensor(1e-10)):
        size = PRIMITIVES["abs"].conditioned(FLOAT32, x)
        log = PRIMITIVES["log"].conditioned(FLOAT32, PRIMITIVES["add"].conditioned(FLOAT32, size, eps))
        assert bool(torch.isfinite(log.radius).all())
        for actual in (0.0, 1e-6, 3e-6):
            off = (torch.log(torch.tensor(actual) + 1e-10) - log.value[1]).abs()
            assert float(off) <= float(log.radius[1])
    clamped = PRIMITIVES["clamp"].conditioned(FLOAT32, x, 1e-7, None)
    assert bool(torch.isfinite(PRIMITIVES["log"].conditioned(FLOAT32, clamped).radius).all())
    largest = PRIMITIVES["maximum"].conditioned(FLOAT32, x, torch.tensor([1e-7]))
    assert bool(torch.isfinite(PRIMITIVES["log"].conditioned(FLOAT32, largest).radius).all())
    assert bool(torch.isinf(PRIMITIVES["log"].conditioned(FLOAT32, size).radius[:2]).all())


def test_a_root_of_squares_has_a_bound_down_to_zero() -> None:
    x = ball([1e-20, 0.0, 3.0])
    square = PRIMITIVES["mul"].conditioned(FLOAT32, x, x)
    root = PRIMITIVES["sqrt"].conditioned(FLOAT32, square)
    assert bool(torch.isfinite(root.radius).all())
    # The square of 1e-20 may be flushed to zero.
    assert float(root.radius[0]) >= 1e-20
    assert root.radius[1] == 0.0
    assert bool(torch.isinf(PRIMITIVES["sqrt"].conditioned(FLOAT32, ball([1e-40], 2e-40)).radius).all())


@pytest.mark.parametrize(
    ("name", "arguments", "least"),
    [
        ("add", (ball([1.0, 5.0]), 1.0), -torch.inf),
        ("exp", (ball([1.0, -5.0]),), 0.0),
        ("sigmoid", (ball([1.0, -5.0]),), 0.0),
        ("abs", (ball([1.0, -5.0]),), 0.0),
        ("gt", (ball([1.0, -5.0]), 0.0), 0.0),
        ("clamp", (ball([1.0, -5.0]), 0.0, None), 0.0),
        ("clamp", (ball([1.0, -5.0]), 0.0, -1.0), -1.0),
        ("minimum", (ball([1.0, -5.0]), ball([2.0])), -torch.inf),
        ("pow", (ball([1.0, -5.0]), 2.0), 0.0),
        ("pow", (ball([1.0, -5.0]), 3.0), -torch.inf),
        ("sub", (ball([1.0]), ball([0.5])), -torch.inf),
    ],
)
def test_lower_bounds(name: str, arguments: tuple[Any, ...], least: float) -> None:
    assert PRIMITIVES[name].conditioned(FLOAT32, *arguments).least == pytest.approx(least, rel=1e-6)


def test_no_lower_bound_is_above_an_evaluation() -> None:
    """Of sums, products and clamps in float32, down to where they are flushed."""
    numbers = [0.0, 1e-45, 1e-38, 1e-30, 1e-10, 0.1, 1.0, 3.3e7]
    for a in numbers:
        for b in numbers:
            x, y = (PRIMITIVES["abs"].conditioned(FLOAT32, ball([n], 0.0)) for n in (a, b))
            for name, other in (("add", b), ("mul", b), ("maximum", torch.tensor(b)), ("add", y), ("mul", y)):
                least = PRIMITIVES[name].conditioned(FLOAT32, x, other).least
                single = PRIMITIVES[name].function(torch.tensor(a), torch.tensor(b))
                assert least <= float(single), (name, a, b)
