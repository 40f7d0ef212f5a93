"""formats.cpp.primitives and _cpp_tile: expressions, where they are fused, and what a logarithm has to look after."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export import ArithmeticLayer
from nalu_export.formats.cpp.planner import plan
from nalu_export.formats.cpp.primitives import EXPRESSIONS, PRODUCTS, REDUCTIONS
from nalu_export.formats.cpp.stages import functions
from nalu_export.formats.cpp.text import Parameters
from nalu_export.graph import well_conditioned
from nalu_export.graph.folding import Compute
from nalu_export.primitives import PRIMITIVES
from tests.captured import form_of

Forward = Callable[..., Tensor]


class _Formula(ArithmeticLayer):
    """Any function as a layer."""

    def __init__(self, function: Forward, **constants: Tensor) -> None:
        super().__init__()
        self.in_features = self.out_features = 3
        self.function, self.names = function, tuple(constants)
        for name, value in constants.items():
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *(getattr(self, name) for name in self.names))


def _lines(forward: Forward, compute: Compute, **constants: Tensor) -> list[str]:
    """The statements of the loops over the vectors of a tile, of all stages."""
    form = well_conditioned(form_of(_Formula(forward, **constants), "folded", compute, (3,)))
    text = functions(plan(form, [(3,)]), Parameters(np.dtype(compute)))
    return [line.strip() for line in text.splitlines() if line.strip().startswith("const auto ")]


def _expression(forward: Forward, **constants: Tensor) -> str:
    """Of a function of one number that needs one statement."""
    (line,) = _lines(forward, "float32", **constants)
    return line.partition(" = ")[2]


def test_every_primitive_has_one() -> None:
    """What only moves numbers needs none, and the well-conditioned form has no ``sigmoid``."""
    wanted = {name for name, primitive in PRIMITIVES.items() if primitive.kind not in ("shape", "cast")} - {"sigmoid"}
    missing = wanted - {*EXPRESSIONS, *REDUCTIONS, *PRODUCTS}
    assert not missing, f"C++ has no code for {', '.join(sorted(missing))}: see EXPRESSIONS and REDUCTIONS"


X = "R::load(x + o * S, k)"


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        (lambda x: x + 1, f"{X} + M::splat(0x1p+0f)"),
        (lambda x: 1 - x, f"M::splat(0x1p+0f) - {X}"),
        (lambda x: x * 3, f"M::mul({X}, M::splat(0x1.8p+1f));"),
        (lambda x: 1 / x, f"M::splat(0x1p+0f) / {X}"),
        (lambda x: -x, f"M::neg({X})"),
        (torch.abs, f"M::abs({X})"),
        (torch.sign, f"M::sign({X})"),
        (torch.log, f"M::log({X})"),
        (torch.exp, f"M::exp({X})"),
        (torch.tanh, f"M::tanh({X})"),
        (torch.sinh, f"M::sinh({X})"),
        (torch.asinh, f"M::asinh({X})"),
        (torch.cos, f"M::cos({X})"),
        (lambda x: torch.clamp(x, -1, 2), f"M::at_most(M::at_least({X}, M::splat(-0x1p+0f)), M::splat(0x1p+1f))"),
        (lambda x: torch.clamp(x, max=2), f"M::at_most({X}, M::splat(0x1p+1f))"),
        (lambda x: torch.clamp(x, min=0.5), f"M::at_least({X}, M::splat(0x1p-1f))"),
    ],
)
def test_expressions(forward: Forward, text: str) -> None:
    assert _expression(forward).rstrip(";") == text.rstrip(";")


def test_constants() -> None:
    vector, number = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.25])
    assert _expression(lambda x, c: x + c, c=vector) == f"{X} + R::constant(p_c + o, k);"
    assert _expression(lambda x, c: x + c, c=vector.reshape(1, 3)) == f"{X} + R::constant(p_c + o, k);"
    assert _expression(lambda x, c: x + c, c=number) == f"{X} + M::splat(0x1p-2f);"
    # Of one constant there is one array; ends that are tensors are maximum and minimum.
    assert [line.partition(" = ")[2] for line in _lines(lambda x, c: torch.clamp(x, c, c), "float32", c=vector)] == [
        f"M::maximum({X}, R::constant(p_c + o, k));",
        "M::minimum(v_maximum, R::constant(p_c + o, k));",
    ]
    infinite = torch.tensor([float("inf")])
    assert _expression(lambda x, c: x - c, c=infinite) == f"{X} - M::splat(std::numeric_limits<float>::infinity());"


def test_float64_has_numbers_of_its_own() -> None:
    (line,) = _lines(lambda x: x + 0.1, "float64")
    assert line.endswith("+ M::splat(0x1.999999999999ap-4);")


@pytest.mark.parametrize(
    ("combine", "text"),
    [
        (lambda a, b: a * b + 1, "M::fma(v_abs, v_exp, M::splat(0x1p+0f))"),
        (lambda a, b: 1 + a * b, "M::fma(v_abs, v_exp, M::splat(0x1p+0f))"),
        (lambda a, b: a * b - b, "M::fma(v_abs, v_exp, M::neg(v_exp))"),
        (lambda a, b: b - a * b, "M::fma(M::neg(v_abs), v_exp, v_exp)"),
        (lambda a, b: 2 * a + b, "M::fma(M::splat(0x1p+1f), v_abs, v_exp)"),
        (lambda a, b: a + b, "v_abs + v_exp"),
        (lambda a, b: a / b + 1, "v_div + M::splat(0x1p+0f)"),
    ],
)
def test_a_product_that_is_added_to_something_is_fused(combine: Forward, text: str) -> None:
    def forward(x: Tensor) -> Tensor:
        a = torch.abs(x)
        b = torch.exp(x)
        return combine(a, b)

    *_, last = _lines(forward, "float32")
    assert last.partition(" = ")[2] == f"{text};"


def test_of_two_products_one_is_rounded() -> None:
    def forward(x: Tensor) -> Tensor:
        a = torch.abs(x)
        b = torch.exp(x)
        p = a * b
        q = a * a
        return p + q

    def backward(x: Tensor) -> Tensor:
        a = torch.abs(x)
        b = torch.exp(x)
        p = a * b
        q = a * a
        return p - q

    assert [line.partition("const auto ")[2] for line in _lines(forward, "float32")[2:]] == [
        "v_mul_2 = M::mul(v_abs, v_abs);",
        "v_y = M::fma(v_abs, v_exp, v_mul_2);",
    ]
    assert [line.partition("const auto ")[2] for line in _lines(backward, "float32")[2:]] == [
        "v_mul = M::mul(v_abs, v_exp);",
        "v_y = M::fma(M::neg(v_abs), v_abs, v_mul);",
    ]


def test_a_product_that_is_used_twice() -> None:
    """Fused where something is added to it, rounded where it is wanted itself."""

    def forward(x: Tensor) -> Tensor:
        a = torch.abs(x)
        p = a * x
        q = p + 1
        return torch.exp(p) / q

    assert [line.partition("const auto ")[2] for line in _lines(forward, "float32")] == [
        f"v_abs = M::abs({X});",
        f"v_mul = M::mul(v_abs, {X});",
        f"v_add = M::fma(v_abs, {X}, M::splat(0x1p+0f));",
        "v_exp = M::exp(v_mul);",
        "v_y = v_exp / v_add;",
    ]


def test_a_product_of_another_stage_is_not_fused() -> None:
    def forward(x: Tensor) -> Tensor:
        p = x * x
        q = torch.prod(p, dim=-1).unsqueeze(-1)
        return p + q

    assert _lines(forward, "float32")[-1].endswith("= R::load(all_mul + o * S, k) + R::shared(all_prod, k);")


def test_sums() -> None:
    def forward(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
        a = F.linear(x, W)
        c = F.linear(x, W, b)
        return a * c

    lines = _lines(forward, "float32", W=torch.ones(3, 3), b=torch.arange(3.0))
    assert [line.partition("const auto ")[2] for line in lines] == [
        "v_linear = sum_linear[k];",
        "v_linear_2 = sum_linear_2[k] + R::constant(p_b + o, k);",
        "v_y = M::mul(v_linear, v_linear_2);",
    ]


@pytest.mark.parametrize(
    ("forward", "normal"),
    [
        (lambda x: torch.log(torch.abs(x) + 1e-10), True),
        (lambda x: torch.log(1e-10 + torch.abs(x)), True),
        (lambda x: torch.log(torch.abs(x) + torch.exp(x) + 1.3e-38), True),
        (lambda x: torch.log(torch.clamp(torch.abs(x), min=1e-7)), True),
        (lambda x: torch.log(torch.clamp(x, 1e-7, 5.0)), True),
        (lambda x: torch.log(torch.abs(x).unsqueeze(-1) + 1e-10), True),
        (lambda x: torch.log(torch.clamp(x, min=2.0) + 1.0), True),
        (torch.log, False),
        (lambda x: torch.log(torch.abs(x)), False),
        (lambda x: torch.log(torch.exp(x)), False),
        (lambda x: torch.log(x + 1e-10), False),
        (lambda x: torch.log(torch.abs(x) - 1e-10), False),
        (lambda x: torch.log(torch.abs(x) + 1.17e-38), False),
        (lambda x: torch.log(torch.abs(x) + -1.0), False),
        (lambda x: torch.log(torch.abs(x) + 0.0), False),
        (lambda x: torch.log(torch.clamp(x, max=5.0)), False),
        (lambda x: torch.log(torch.clamp(x, 1.0, -1.0)), False),
        (lambda x: torch.log(torch.abs(x) * 1.0), False),
    ],
)
@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_a_logarithm_of_what_cannot_be_zero(forward: Forward, normal: bool, compute: Compute) -> None:
    """Wrong here would be wrong for zeros, subnormal or negative numbers."""

    def whole(x: Tensor) -> Tensor:
        return torch.prod(forward(x).unsqueeze(-1), dim=-1)

    found = {name for line in _lines(whole, compute) for name in ("M::log_normal(", "M::log(") if name in line}
    assert found == {"M::log_normal(" if normal else "M::log("}
