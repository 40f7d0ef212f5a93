"""The primitives that an arithmetic layer may be written with, and every torch spelling of each.

A primitive is one torch function with positional arguments only. Tracing turns ``a * b``, ``torch.mul(a, b)`` and
``a.mul(b)`` into the same node, so that a format or an error rule needs one entry for each primitive.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``x`` in another floating point type: the edges of ``--compute float64``."""
    return x.to(dtype)


@dataclass(frozen=True)
class Primitive:
    """One primitive.

    Attributes:
        name: what formats and error rules call it.
        function: the torch function that defines it.
        parameters: names of its arguments, in the order in which a node holds them.
        defaults: values of the trailing arguments that may be left out.
        aliases: other functions that mean the same.
        methods: names of the tensor methods that mean the same.
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    defaults: dict[str, Any] = field(default_factory=dict)
    aliases: tuple[Callable[..., Any], ...] = ()
    methods: tuple[str, ...] = ()

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
        """The arguments in the order of ``parameters``, or ``None`` where the call has one that is not known."""
        if len(args) > len(self.parameters) or not set(kwargs) <= set(self.parameters):
            return None
        bound = dict(self.defaults) | dict(zip(self.parameters, args, strict=False)) | kwargs
        if set(bound) != set(self.parameters):
            return None
        return tuple(bound[name] for name in self.parameters)


_UNARY = ("input",)
_BINARY = ("input", "other")

PRIMITIVES: dict[str, Primitive] = {
    primitive.name: primitive
    for primitive in (
        Primitive("linear", F.linear, ("input", "weight", "bias"), {"bias": None}),
        # The operators, not torch.add and so on: those refuse a number as their first argument (`1 - W`).
        Primitive("add", operator.add, _BINARY, aliases=(torch.add,), methods=("add",)),
        Primitive("sub", operator.sub, _BINARY, aliases=(torch.sub, torch.subtract), methods=("sub",)),
        Primitive("mul", operator.mul, _BINARY, aliases=(torch.mul, torch.multiply), methods=("mul",)),
        Primitive("div", operator.truediv, _BINARY, aliases=(torch.div, torch.divide), methods=("div",)),
        Primitive("neg", torch.neg, _UNARY, aliases=(operator.neg, torch.negative), methods=("neg",)),
        Primitive("abs", torch.abs, _UNARY, aliases=(operator.abs, torch.absolute), methods=("abs",)),
        Primitive("sign", torch.sign, _UNARY, methods=("sign",)),
        Primitive("log", torch.log, _UNARY, methods=("log",)),
        Primitive("exp", torch.exp, _UNARY, methods=("exp",)),
        Primitive("tanh", torch.tanh, _UNARY, aliases=(F.tanh,), methods=("tanh",)),
        Primitive("sigmoid", torch.sigmoid, _UNARY, aliases=(F.sigmoid,), methods=("sigmoid",)),
        Primitive("sinh", torch.sinh, _UNARY, methods=("sinh",)),
        Primitive("asinh", torch.asinh, _UNARY, aliases=(torch.arcsinh,), methods=("asinh", "arcsinh")),
        Primitive("cos", torch.cos, _UNARY, methods=("cos",)),
        Primitive(
            "clamp",
            torch.clamp,
            ("input", "min", "max"),
            {"min": None, "max": None},
            aliases=(torch.clip,),
            methods=("clamp", "clip"),
        ),
        Primitive("prod", torch.prod, ("input", "dim", "keepdim"), {"keepdim": False}, methods=("prod",)),
        Primitive("unsqueeze", torch.unsqueeze, ("input", "dim"), methods=("unsqueeze",)),
        Primitive("cast", cast, ("input", "dtype")),
    )
}

BY_FUNCTION: dict[Callable[..., Any], Primitive] = {
    function: primitive for primitive in PRIMITIVES.values() for function in (primitive.function, *primitive.aliases)
}
BY_METHOD: dict[str, Primitive] = {
    method: primitive for primitive in PRIMITIVES.values() for method in primitive.methods
}
