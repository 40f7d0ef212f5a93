"""nalu_export.graph.spelling.canonical: every spelling of an operation becomes one primitive."""

import operator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.graph import primitive_of
from nalu_export.graph.evaluation import run
from nalu_export.graph.spelling import canonicalise
from nalu_export.graph.spelling.special import SPECIAL
from nalu_export.graph.tracing import traced
from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.compositions import COMPOSITIONS
from tests.captured import CALL
from tests.graph.spelling.tables import HOWS, Calls, Table, check, check_all, check_none

# Each of the calls is one node of the primitive that it stands under, and nothing else that computes.
SPELLINGS: dict[str, Calls] = {
    "linear": {"F": lambda x, p: F.linear(x, p.w), "keywords": lambda x, p: F.linear(input=x, weight=p.w, bias=p.b)},
    "matmul": {"of data": lambda x, p: torch.matmul(x.unsqueeze(-1), x.unsqueeze(1))},
    "add": {
        "x + 1": lambda x, p: x + 1,
        "1 + x": lambda x, p: 1 + x,
        "torch": lambda x, p: torch.add(x, 1),
        "method": lambda x, p: x.add(p.v),
        "keyword": lambda x, p: torch.add(x, other=p.v),
        "alpha": lambda x, p: torch.add(x, p.v, alpha=1),
        "operator": lambda x, p: operator.add(x, 1),
        "in place": lambda x, p: x.clone().add_(1),
    },
    "sub": {
        "x - 1": lambda x, p: x - 1,
        "1 - x": lambda x, p: 1 - x,
        "torch": lambda x, p: torch.sub(x, p.v),
        "subtract": lambda x, p: torch.subtract(x, 1),
        "rsub": lambda x, p: torch.rsub(x, 1),
    },
    "mul": {
        "x * 2": lambda x, p: x * 2,
        "2 * x": lambda x, p: 2 * x,
        "torch": lambda x, p: torch.multiply(x, x),
        "method": lambda x, p: x.mul(x),
        "square": lambda x, p: torch.square(x),
        "** 2": lambda x, p: x**2,
        "pow 2": lambda x, p: x.pow(2),
    },
    "div": {
        "x / 2": lambda x, p: x / 2,
        "torch": lambda x, p: torch.true_divide(x, 2),
        "rounding mode": lambda x, p: torch.div(x, 2, rounding_mode=None),
        "reciprocal": lambda x, p: x.reciprocal(),
    },
    "neg": {"-x": lambda x, p: -x, "torch": lambda x, p: torch.negative(x), "method": lambda x, p: x.neg()},
    "abs": {"built in": lambda x, p: abs(x), "torch": lambda x, p: torch.absolute(x), "method": lambda x, p: x.abs()},
    "sign": {"torch": lambda x, p: torch.sign(x), "sgn": lambda x, p: x.sgn()},
    "log": {"torch": lambda x, p: torch.log(x), "method": lambda x, p: x.log()},
    "log1p": {"torch": lambda x, p: torch.log1p(x), "special": lambda x, p: torch.special.log1p(x)},
    "exp": {"torch": lambda x, p: torch.exp(x), "method": lambda x, p: x.exp()},
    "expm1": {"torch": lambda x, p: torch.expm1(x), "special": lambda x, p: torch.special.expm1(x)},
    "tanh": {"torch": lambda x, p: torch.tanh(x), "module": lambda x, p: nn.Tanh()(x), "F": lambda x, p: F.tanh(x)},
    "sigmoid": {"torch": lambda x, p: torch.sigmoid(x), "expit": lambda x, p: torch.special.expit(x)},
    "sinh": {"torch": lambda x, p: torch.sinh(x), "method": lambda x, p: x.sinh()},
    "asinh": {"torch": lambda x, p: torch.asinh(x), "arcsinh": lambda x, p: x.arcsinh()},
    "sqrt": {"torch": lambda x, p: torch.sqrt(x), "** 0.5": lambda x, p: x**0.5},
    "pow": {
        "a number": lambda x, p: x**1.5,
        "of a number": lambda x, p: 2.0**x,
        "torch": lambda x, p: torch.pow(x, p.v),
        "exp2": lambda x, p: torch.exp2(x),
    },
    "sin": {"torch": lambda x, p: torch.sin(x)},
    "cos": {"torch": lambda x, p: torch.cos(x), "method": lambda x, p: x.cos()},
    "erf": {"torch": lambda x, p: torch.erf(x), "special": lambda x, p: torch.special.erf(x)},
    "floor": {"torch": lambda x, p: torch.floor(x)},
    "ceil": {"torch": lambda x, p: x.ceil()},
    "round": {"torch": lambda x, p: torch.round(x)},
    "trunc": {"torch": lambda x, p: torch.trunc(x), "fix": lambda x, p: torch.fix(x)},
    "clamp": {
        "both": lambda x, p: torch.clamp(x, 0, 1),
        "keywords": lambda x, p: x.clamp(min=0, max=1),
        "clip": lambda x, p: torch.clip(x, max=1),
        "clamp_min": lambda x, p: x.clamp_min(0.5),
        "relu": lambda x, p: F.relu(x),
        "relu6": lambda x, p: F.relu6(x),
        "hardtanh": lambda x, p: F.hardtanh(x),
        "module": lambda x, p: torch.relu(x),
    },
    "maximum": {"torch": lambda x, p: torch.maximum(x, p.v), "clamp": lambda x, p: torch.clamp(x, min=p.v)},
    "minimum": {"torch": lambda x, p: torch.minimum(x, p.v), "clamp_max": lambda x, p: x.clamp_max(p.v)},
    "gt": {"x > 0": lambda x, p: x > 0, "torch": lambda x, p: torch.gt(x, p.v), "greater": lambda x, p: x.greater(0)},
    "lt": {"x < 0": lambda x, p: x < 0, "0 > x": lambda x, p: x.lt(0.5)},
    "ge": {"x >= 0": lambda x, p: x >= 0},
    "le": {"x <= 0": lambda x, p: x <= 0},
    "eq": {"torch": lambda x, p: torch.eq(x, p.v), "==": lambda x, p: x == 0},
    "ne": {"torch": lambda x, p: torch.ne(x, p.v)},
    "sum": {
        "dim": lambda x, p: torch.sum(x, -1),
        "keyword": lambda x, p: x.sum(dim=1),
        "keepdim": lambda x, p: x.sum(1, True),
    },
    "mean": {"dim": lambda x, p: torch.mean(x, dim=-1), "method": lambda x, p: x.mean((1,), keepdim=True)},
    "amax": {"torch": lambda x, p: torch.amax(x, 1)},
    "amin": {"method": lambda x, p: x.amin(dim=-1)},
    "prod": {"dim": lambda x, p: torch.prod(x, dim=-1), "keepdim": lambda x, p: x.prod(-1, keepdim=True)},
    "unsqueeze": {"torch": lambda x, p: torch.unsqueeze(x, -2), "method": lambda x, p: x.unsqueeze(dim=-2)},
    "transpose": {"torch": lambda x, p: torch.transpose(x.unsqueeze(1), 1, 2)},
    "cat": {"torch": lambda x, p: torch.cat([x, x], 1), "concat": lambda x, p: torch.concat((x, x), dim=-1)},
    "stack": {"torch": lambda x, p: torch.stack([x, x], dim=1)},
}
# More than one node of a kind, or others beside it.
TOGETHER: Calls = {
    "logical_and": lambda x, p: torch.where((x > 0) & (x < 1), x, 0.0),
    "logical_or": lambda x, p: torch.where(torch.logical_or(x > 1, x < 0), x, -x),
    "logical_not": lambda x, p: torch.where(~(x > 0), x, x * x),
    "cast": lambda x, p: (x > 0).float() * x,
    "reshape": lambda x, p: x.view(-1, 3, 1),
    "flatten": lambda x, p: x.unsqueeze(1).flatten(1),
    "permute": lambda x, p: x.unsqueeze(1).permute(0, 2, 1),
    "squeeze": lambda x, p: x.unsqueeze(1).squeeze(1),
    "expand": lambda x, p: x.unsqueeze(1).expand(-1, 2, -1),
    "slice": lambda x, p: x[:, 1:],
    "select": lambda x, p: x[:, 1],
    "where": lambda x, p: torch.where(x > 0, x, p.v),
}


def test_every_primitive_has_a_spelling_here() -> None:
    assert set(SPELLINGS) | set(TOGETHER) == set(PRIMITIVES)


def test_every_spelling_is_its_primitive() -> None:
    calls: Calls = {f"{name}, {key}": call for name, of in SPELLINGS.items() for key, call in of.items()}
    shapes = ("unsqueeze", "squeeze", "transpose")
    for key, found in check_all(calls, (3,)).items():
        name = key.partition(",")[0]
        computing = [other for other in found.data if other not in shapes or other == name]
        assert computing == [name], (key, found.data)


def test_together_with_others() -> None:
    exact: Calls = {name: call for name, call in TOGETHER.items() if name != "cast"}
    for name, found in check_all(exact, (3,)).items():
        assert name in found.data, (name, found.data)


def test_calls_that_are_made_of_primitives() -> None:
    calls: Calls = {
        "addcmul": lambda x, p: torch.addcmul(x, x, p.v, value=2.0),
        "addcdiv": lambda x, p: torch.addcdiv(x, p.v, x),
        "lerp": lambda x, p: torch.lerp(x, p.v, 0.25),
        "lerp by a tensor": lambda x, p: x.lerp(p.v, torch.sigmoid(x)),
        "rsqrt": lambda x, p: torch.rsqrt(x.abs()),
        "log2": lambda x, p: x.abs().log2(),
        "log10": lambda x, p: torch.log10(x.abs()),
        "softplus": lambda x, p: F.softplus(x),
        "softplus, scaled": lambda x, p: F.softplus(x, beta=2, threshold=10),
        "logsigmoid": lambda x, p: F.logsigmoid(x),
        "silu": lambda x, p: F.silu(x),
        "elu": lambda x, p: F.elu(x, 0.5),
        "leaky_relu": lambda x, p: F.leaky_relu(x),
        "cosh": lambda x, p: torch.cosh(x),
        "sub with a factor": lambda x, p: torch.sub(x, p.v, alpha=3),
        "hardsigmoid": lambda x, p: F.hardsigmoid(x),
        "norm": lambda x, p: x / x.norm(dim=1, keepdim=True),
        "normalize": lambda x, p: F.normalize(x, dim=-1),
    }
    for name in calls:
        assert name.split(",")[0].split(" ")[0] in COMPOSITIONS, name
    for how in HOWS:
        # torch.export takes some apart by itself; the nodes may be others, the numbers may not.
        assert not {name: of.opaque for name, of in check(calls, (3,), how).items() if of.opaque}, how


def test_a_number_over_data() -> None:
    """torch.export writes it as a reciprocal."""
    calls: Calls = {"2 / x": lambda x, p: 2 / x}
    assert [check(calls, (3,), how)["2 / x"].data for how in HOWS] == [("div",), ("div", "mul")]


def test_what_has_no_primitive_stays_as_it_is_written() -> None:
    calls: Calls = {
        "lgamma": lambda x, p: torch.lgamma(x),
        "softmax of three": lambda x, p: x.softmax(-1),
        "rounded quotient": lambda x, p: torch.div(x, 2, rounding_mode="floor"),
        "remainder": lambda x, p: x % 2.0,
        "cumsum": lambda x, p: torch.cumsum(x, 1),
        "a norm of order 3": lambda x, p: x.norm(p=3, dim=1),
        "sorted": lambda x, p: torch.sort(x, dim=1).values,
    }
    check_none(calls, (3,))


def test_a_special_spelling_that_does_not_apply_is_no_primitive_either() -> None:
    """A name of both: ``x.view(-1)`` merges the samples, and must not become a reshape by its name."""
    assert {"view", "reshape", "squeeze", "select", "expand"} <= set(SPECIAL)
    check_none({"merged": lambda x, p: x.view(-1), "across": lambda x, p: x.reshape(3, -1).T}, (3,))


class _InPlace(nn.Module):
    def __init__(self, reads_again: bool) -> None:
        super().__init__()
        self.reads_again = reads_again

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2.0
        z = y.exp_()
        return y + z if self.reads_again else z


def test_in_place_is_a_primitive_like_any_other() -> None:
    for again in (False, True):
        flat = traced(_InPlace(again), CALL)
        canonicalise(flat, run(flat, torch.rand(3, 2)))
        left = [node for node in flat.graph.nodes if node.op.startswith("call_") and primitive_of(node) is None]
        assert not left
        x = torch.rand(5, 2)
        torch.testing.assert_close(flat(x), _InPlace(again)(x))


def test_values_that_nothing_uses_leave_the_graph() -> None:
    class Unused(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            torch.lgamma(x)
            return torch.log(x)

    flat = traced(Unused(), CALL)
    canonicalise(flat, run(flat, torch.rand(3, 2)))
    assert [node.op for node in flat.graph.nodes] == ["placeholder", "call_function", "output"]


def test_every_node_that_is_written_knows_where_it_is_from() -> None:
    flat = traced(Table({"softplus": lambda x, p: F.softplus(x)}), CALL)
    canonicalise(flat, run(flat, torch.rand(3, 2)))
    made = [node for node in flat.graph.nodes if node.op == "call_function"]
    assert len(made) > 2
    assert {node.meta["spelled"] for node in made} == {"softplus"}
    assert all("stack" in node.meta for node in made)
