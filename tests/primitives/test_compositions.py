"""nalu_export.primitives.compositions and activations: each gives what torch gives, from primitives alone."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx
from torch.nn import functional as F

from nalu_export.primitives import BY_NAME, COMPOSITIONS
from nalu_export.primitives.compositions import composition

aten = torch.ops.aten
X = torch.tensor([-60.0, -19.0, -3.0, -1.0, -0.3, -1e-8, 0.0, 1e-8, 0.2, 0.5, 1.0, 2.5, 6.0, 19.0, 21.0, 80.0]).double()
Y, Z = X.flip(0), X.roll(3) + 0.5
P = X.abs() + 0.25
LOW, HIGH = torch.tensor(-0.5).double(), torch.linspace(-1, 3, 16).double()
GRID = X.reshape(4, 4)

# Under each name: the call of torch, and its arguments.
CALLS: dict[str, list[tuple[Callable[..., Tensor], tuple[Any, ...], dict[str, Any]]]] = {
    "square": [(torch.square, (X,), {})],
    "reciprocal": [(torch.reciprocal, (P,), {})],
    "rsqrt": [(torch.rsqrt, (P,), {})],
    "pow": [(torch.pow, (P, e), {}) for e in (-2, -1, -0.5, 0.5, 1, 2, 3, 2.0)] + [(torch.pow, (X, 3), {})],
    "exp2": [(torch.exp2, (X,), {})],
    "log2": [(torch.log2, (P,), {})],
    "log10": [(torch.log10, (P,), {})],
    "logit": [(torch.logit, (P / 100,), {}), (torch.logit, (P / 100,), {"eps": 0.1})],
    "logaddexp": [(torch.logaddexp, (X, Y), {})],
    "cosh": [(torch.cosh, (X,), {})],
    "tan": [(torch.tan, (X,), {})],
    "frac": [(torch.frac, (X,), {})],
    "add": [(torch.add, (X, Y), {"alpha": 2.5}), (torch.add, (X, 3.0), {"alpha": -1})],
    "sub": [(torch.sub, (X, Y), {"alpha": 2.5})],
    "subtract": [(torch.subtract, (X, Y), {"alpha": 2.5})],
    "rsub": [(torch.rsub, (X, 1.0), {}), (torch.rsub, (X, Y), {"alpha": 2})],
    "addcmul": [(torch.addcmul, (X, Y, Z), {}), (torch.addcmul, (X, Y, Z), {"value": -0.5})],
    "addcdiv": [(torch.addcdiv, (X, Y, P), {}), (torch.addcdiv, (X, Y, P), {"value": 3})],
    "lerp": [(torch.lerp, (X, Y, 0.25), {}), (torch.lerp, (X, Y, torch.sigmoid(Z)), {})],
    "linalg_vector_norm": [
        (torch.linalg.vector_norm, (GRID,), {"dim": -1}),
        (torch.linalg.vector_norm, (GRID, 1, -1, True), {}),
        (torch.linalg.vector_norm, (GRID, math.inf, [0, 1]), {}),
    ],
    "norm": [(torch.norm, (GRID,), {"dim": 1}), (torch.norm, (GRID, 1, 0, True), {}), (torch.norm, (GRID, 2, -1), {})],
    "normalize": [(F.normalize, (GRID,), {}), (F.normalize, (GRID * 0,), {"dim": -1, "eps": 1e-3})],
    "clamp": [(torch.clamp, (X, LOW, HIGH), {}), (torch.clamp, (X,), {"max": HIGH})],
    "clip": [(torch.clip, (X, LOW), {})],
    "clamp_min": [(torch.clamp_min, (X, 0.5), {}), (torch.clamp_min, (X, HIGH), {})],
    "clamp_max": [(torch.clamp_max, (X, 0.5), {}), (torch.clamp_max, (X, HIGH), {})],
    "relu": [(F.relu, (X,), {}), (torch.relu, (X,), {})],
    "relu6": [(F.relu6, (X,), {})],
    "hardtanh": [(F.hardtanh, (X,), {}), (F.hardtanh, (X, -2.0, 0.5), {}), (aten.hardtanh, (X, -2, 3), {})],
    "rrelu": [(F.rrelu, (X,), {}), (F.rrelu, (X, 0.2, 0.6), {"training": False}), (torch.rrelu, (X,), {})],
    "leaky_relu": [(F.leaky_relu, (X,), {}), (F.leaky_relu, (X, 0.2), {}), (aten.leaky_relu, (X, 0.3), {})],
    "threshold": [(F.threshold, (X, 0.1, 7.0), {})],
    "elu": [(F.elu, (X,), {}), (F.elu, (X, 0.5), {}), (aten.elu, (X, 1.7, 1.05), {}), (aten.elu, (X, 1.0, 1, 1), {})],
    "selu": [(F.selu, (X,), {}), (torch.selu, (X,), {})],
    "celu": [(F.celu, (X,), {}), (F.celu, (X, 2.0), {})],
    "silu": [(F.silu, (X,), {})],
    "mish": [(F.mish, (X,), {})],
    "softplus": [(F.softplus, (X,), {}), (F.softplus, (X, 2.0, 5.0), {}), (aten.softplus, (X, 0.5), {})],
    "logsigmoid": [(F.logsigmoid, (X,), {})],
    "softsign": [(F.softsign, (X,), {})],
    "tanhshrink": [(F.tanhshrink, (X,), {})],
    "softshrink": [(F.softshrink, (X,), {}), (F.softshrink, (X, 2.0), {})],
    "hardshrink": [(F.hardshrink, (X,), {}), (torch.hardshrink, (X, 2.0), {})],
    "hardsigmoid": [(F.hardsigmoid, (X,), {})],
    "hardswish": [(F.hardswish, (X,), {})],
    "gelu": [(F.gelu, (X,), {}), (F.gelu, (X,), {"approximate": "tanh"}), (aten.gelu, (X,), {"approximate": "none"})],
}
# Other names of the same.
ALIASES = {"special_exp2": "exp2", "special_logit": "logit", "log_sigmoid": "logsigmoid"}
# What has no meaning in primitives, or is one already.
REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("pow", (X, 2.5), {}),
    ("pow", (X, Y), {}),
    ("pow", (2.0, X), {}),
    ("add", (X, Y), {}),
    ("sub", (X, Y), {"alpha": 1}),
    ("clamp", (X, -1, 1.0), {}),
    ("norm", (GRID,), {}),
    ("norm", (GRID, 3, 1), {}),
    ("linalg_vector_norm", (GRID, 2, -1), {"dtype": torch.float32}),
    ("normalize", (GRID,), {"p": 3.0}),
    *(
        (name, (X,), {"inplace": True})
        for name in ("relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu", "celu", "rrelu")
    ),
    *((name, (X,), {"inplace": True}) for name in ("silu", "mish", "hardsigmoid", "hardswish")),
    ("threshold", (X, 0.0, 0.0, True), {}),
    ("elu", (X, 1.0, True), {}),
    ("elu", (X, 1.0, 1.0, 2.0), {}),
]


def _composed(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    made = COMPOSITIONS[name]
    bound = made.bind(args, kwargs)
    assert bound is not None
    return made.function(*bound)


def test_every_composition_is_tried() -> None:
    assert set(COMPOSITIONS) == set(CALLS) | set(ALIASES)
    assert all(COMPOSITIONS[alias] is COMPOSITIONS[name] for alias, name in ALIASES.items())


@pytest.mark.parametrize("name", CALLS)
def test_a_composition_gives_what_torch_gives(name: str) -> None:
    for function, args, kwargs in CALLS[name]:
        wanted = function(*args, **kwargs)
        torch.testing.assert_close(_composed(name, args, kwargs), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CALLS)
def test_a_composition_is_written_in_primitives(name: str) -> None:
    """On fx proxies, as capture calls it."""
    for _, args, kwargs in CALLS[name]:
        bound = COMPOSITIONS[name].bind(args, kwargs)
        assert bound is not None
        graph = fx.Graph()
        tracer = fx.proxy.GraphAppendingTracer(graph)
        given = [
            fx.Proxy(graph.placeholder(f"x{place}"), tracer) if isinstance(argument, Tensor) else argument
            for place, argument in enumerate(bound)
        ]
        result = COMPOSITIONS[name].function(*given)
        assert isinstance(result, fx.Proxy)
        names = [getattr(node.target, "__name__", "") for node in graph.nodes if node.op == "call_function"]
        assert set(names) <= set(BY_NAME), names
        assert not [node for node in graph.nodes if node.op == "call_method"]


@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED)
def test_what_cannot_be_expressed_is_left_alone(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert _composed(name, args, kwargs) is NotImplemented


def test_the_signature_is_that_of_torch() -> None:
    assert COMPOSITIONS["clamp"].parameters == ("input", "min", "max")
    assert COMPOSITIONS["softplus"].defaults == {"beta": 1.0, "threshold": 20.0}
    assert COMPOSITIONS["lerp"].bind((), {"self": 1, "end": 2, "weight": 3}) == (1, 2, 3)
    assert COMPOSITIONS["lerp"].bind((1, 2), {}) is None


def test_a_new_composition_is_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nalu_export.primitives.compositions.COMPOSITIONS", {})

    @composition("double", "twice")
    def _double(x: Any, min_: float = 2.0) -> Any:
        return x * min_

    from nalu_export.primitives.compositions import COMPOSITIONS as HELD

    assert HELD["twice"] is HELD["double"]
    assert HELD["twice"].parameters == ("input", "min")
    assert _double(3.0) == 6.0
