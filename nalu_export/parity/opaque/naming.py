"""The torch function behind an opaque call, for any spelling: a module, a function, a method or an aten overload."""

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

_NAMESPACES = (torch, F, torch._C._nn, torch.special)
# Modules whose ``forward`` is one torch function, and the name of that function.
_MODULES: dict[type[nn.Module], str] = {
    **{getattr(nn, f"Conv{n}d"): f"conv{n}d" for n in (1, 2, 3)},
    **{getattr(nn, f"ConvTranspose{n}d"): f"conv_transpose{n}d" for n in (1, 2, 3)},
    **{getattr(nn, f"AvgPool{n}d"): f"avg_pool{n}d" for n in (1, 2, 3)},
    **{getattr(nn, f"AdaptiveAvgPool{n}d"): f"adaptive_avg_pool{n}d" for n in (1, 2, 3)},
    **{getattr(nn, f"MaxPool{n}d"): f"max_pool{n}d" for n in (1, 2, 3)},
    **{getattr(nn, f"AdaptiveMaxPool{n}d"): f"adaptive_max_pool{n}d" for n in (1, 2, 3)},
    **{getattr(nn, f"BatchNorm{n}d"): "batch_norm" for n in (1, 2, 3)},
    **{getattr(nn, f"InstanceNorm{n}d"): "instance_norm" for n in (1, 2, 3)},
    nn.Linear: "linear",
    nn.LayerNorm: "layer_norm",
    nn.GroupNorm: "group_norm",
    nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax",
    nn.Identity: "identity",
    nn.Flatten: "flatten",
    nn.Unflatten: "unflatten",
    nn.PixelShuffle: "pixel_shuffle",
    nn.PixelUnshuffle: "pixel_unshuffle",
    nn.ChannelShuffle: "channel_shuffle",
    **dict.fromkeys((nn.Upsample, nn.UpsamplingNearest2d), "upsample"),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout), "dropout"),
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardtanh: "hardtanh",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.ELU: "elu",
    nn.SELU: "selu",
    nn.CELU: "celu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Mish: "mish",
    nn.Hardswish: "hardswish",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Softplus: "softplus",
    nn.Softsign: "softsign",
    nn.Tanhshrink: "tanhshrink",
    nn.LogSigmoid: "logsigmoid",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
}
_INPUT = ("self", "a", "x", "tensor")


def module_name(module: nn.Module) -> str:
    """Return the function that a module calls; empty for other modules, such as a subclass with its own ``forward``."""
    for kind in type(module).__mro__:
        if kind in _MODULES:
            return _MODULES[kind] if type(module).forward is kind.forward else ""
    return ""


def function_name(node: fx.Node) -> str:
    """Return ``conv2d`` for ``F.conv2d`` and ``torch.ops.aten.conv2d.default``; empty for a function not of torch."""
    target = node.target
    if node.op == "call_method":
        return str(target).rstrip("_")
    if isinstance(target, torch._ops.OpOverload):
        # In-place variants end with an underscore, internal ones begin with one.
        return target._opname.strip("_") if target.namespace == "aten" else ""
    if target is operator.getitem:
        return "getitem"
    name = getattr(target, "__name__", "")
    known = any(getattr(namespace, name, None) is target for namespace in _NAMESPACES) if name else False
    return name.strip("_") if known else ""


def changes_its_input(node: fx.Node) -> bool:
    """Return whether the name of a function or method has the suffix of those that write into their first argument."""
    name = str(getattr(node.target, "_opname", None) or getattr(node.target, "__name__", node.target))
    return node.op != "call_module" and name.endswith("_") and not name.endswith("__")


def bound(node: fx.Node, name: str) -> dict[str, int | str]:
    """Return the position or keyword of each argument of a call, by name; the first argument is named ``input``."""
    parameters = _parameters(node, name)
    places: dict[str, int | str] = {
        _canonical(parameter): position for position, parameter in enumerate(parameters[: len(node.args)])
    }
    return places | {_canonical(keyword): keyword for keyword in node.kwargs}


def _canonical(parameter: str) -> str:
    return "input" if parameter in _INPUT else parameter


def _parameters(node: fx.Node, name: str) -> list[str]:
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return [argument.name for argument in target._schema.arguments]
    written = _written(target) if callable(target) else []
    return written or _of_schema(node, name)


def _written(function: Callable[..., Any]) -> list[str]:
    """Return the parameters of a Python function; empty for torch's C++ functions, which have no signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [] if any(one.kind in variadic for one in parameters) else [one.name for one in parameters]


def _of_schema(node: fx.Node, name: str) -> list[str]:
    """Return the parameters of the first aten overload of that name that accepts the arguments."""
    packet = getattr(torch.ops.aten, name, None)
    for overload in packet.overloads() if packet is not None else ():
        arguments = getattr(packet, overload)._schema.arguments
        names = [argument.name for argument in arguments]
        if len(node.args) <= len(names) and set(node.kwargs) <= {*names, "input"} and not arguments[-1].is_out:
            return names
    return ["input"]  # the first parameter of torch's functions
