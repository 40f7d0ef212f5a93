"""Tensors that ``forward`` fills with one number: elementwise operations take the number instead."""

from typing import Any

import torch
from torch import Tensor, fx

from nalu_export.graph.spelling.names import name_of
from nalu_export.graph.spelling.writer import Writer

# Elementwise operations that accept a number in place of a tensor filled with that number.
_ELEMENTWISE = (
    *("add", "sub", "rsub", "mul", "div", "pow", "maximum", "minimum", "where", "multiply", "subtract", "truediv"),
    *("gt", "lt", "ge", "le", "eq", "ne", "divide", "true_divide"),
)
_BOUNDS = {"maximum": "min", "minimum": "max"}
_MADE = (
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"),
    *("scalar_tensor", "tensor"),
)


def _filled(writer: Writer, node: fx.Node) -> Any:
    """Pass the number to every call that accepts it; other calls still read the tensor."""
    value = writer.tensor(node)
    if (
        value is None
        or not value.is_floating_point()
        or not value.numel()
        or not bool((value == value.flatten()[0]).all())
    ):
        return NotImplemented
    number = float(value.flatten()[0])
    for user in list(node.users):
        if not _takes_number(writer, user, node):
            continue
        bound = _BOUNDS.get(name_of(user) or "")
        if bound is None:
            user.args = tuple(number if argument is node else argument for argument in user.args)
        elif user.args.count(node) == 1:
            # maximum and minimum accept no number, but a clamp does.
            (other,) = (argument for argument in user.args if argument is not node)
            user.op, user.target, user.args, user.kwargs = "call_function", torch.clamp, (other,), {bound: number}
    return NotImplemented


def _takes_number(writer: Writer, user: fx.Node, node: fx.Node) -> bool:
    """Return whether a call can take the number: another float32 argument must have the shape of the result."""
    if name_of(user) not in _ELEMENTWISE or node in user.kwargs.values():
        return False
    result = writer.tensor(user)
    others = [writer.tensor(argument) for argument in user.args if argument is not node]
    # The condition of a where does not decide the type of its result.
    others = others[1:] if name_of(user) == "where" else others
    same = [
        other for other in others if isinstance(other, Tensor) and result is not None and other.shape == result.shape
    ]
    return any(other.is_floating_point() and other.dtype == torch.float32 for other in same)


SPECIAL = dict.fromkeys(_MADE, _filled)
