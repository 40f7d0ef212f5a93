"""Finds one name of torch for the operation of a node, for each way to write it."""

import torch
from torch import fx

# Functions that always count as activations of a network.
ACTIVATIONS = (
    *("softplus", "logsigmoid", "log_sigmoid", "elu", "silu", "gelu", "mish", "selu", "celu", "softsign"),
    *("hardsigmoid", "hardswish", "tanhshrink", "softmax", "_softmax", "leaky_relu", "relu", "relu6", "hardtanh"),
)
# Modules that use the same names for the same operations: torch.mul, operator.mul, Tensor.mul and aten.mul.
_HOMES = ("torch", "_operator", "operator", "math", "builtins")
# In these the last underscore does not mean "in place": `and` is a keyword of Python.
_WORDS = {"and_": "and_", "or_": "or_", "not_": "not_", "__and__": "and_", "__or__": "or_"}
_IN_PLACE = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div", "ipow": "pow", "imatmul": "matmul"}


def name_of(node: fx.Node) -> str | None:
    """Return ``"mul"`` for ``a * b``, ``torch.mul(a, b)``, ``a.mul(b)``, ``aten.mul.Tensor``; ``None`` if unknown."""
    name = _spelled(node)
    if name is None:
        return None
    if name in _IN_PLACE:
        return _IN_PLACE[name]
    return name[:-1] if is_in_place(node) else name


def is_in_place(node: fx.Node) -> bool:
    """Return whether the operation changes its first argument."""
    name = _spelled(node) or ""
    return name in _IN_PLACE or (name.endswith("_") and not name.startswith("_") and name not in _WORDS)


def _spelled(node: fx.Node) -> str | None:
    if node.op == "call_method":
        return str(node.target)
    if node.op != "call_function":
        return None
    target = node.target
    if isinstance(target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        full = target._schema.name if isinstance(target, torch._ops.OpOverload) else target._qualified_op_name
        space, _, name = full.partition("::")
        return _WORDS.get(name, name) if space == "aten" else None
    home = getattr(target, "__module__", None) or "torch"
    called: str | None = getattr(target, "__name__", None)
    return called if called is not None and home.split(".")[0] in _HOMES else None
