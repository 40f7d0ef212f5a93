"""A module tree as plain data: types by name and constructor arguments, no code."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from nalu_export.errors import InputError, first_line
from nalu_export.nn import ArithmeticLayer, BackboneHead
from nalu_export.nn.layer import constructor_arguments

Description = dict[str, Any]

# torch.nn layers whose constructor arguments are attributes of the same names and whose forward is theirs alone.
STOCK: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (
        nn.AdaptiveAvgPool2d,
        nn.AdaptiveMaxPool2d,
        nn.AvgPool2d,
        nn.BatchNorm1d,
        nn.BatchNorm2d,
        nn.Conv1d,
        nn.Conv2d,
        nn.Dropout,
        nn.Dropout2d,
        nn.ELU,
        nn.Flatten,
        nn.GELU,
        nn.GroupNorm,
        nn.Hardswish,
        nn.Identity,
        nn.LayerNorm,
        nn.LeakyReLU,
        nn.Linear,
        nn.LogSoftmax,
        nn.MaxPool2d,
        nn.ReLU,
        nn.ReLU6,
        nn.SiLU,
        nn.Sigmoid,
        nn.Softmax,
        nn.Softplus,
        nn.Tanh,
        nn.ZeroPad2d,
    )
}
MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_INT = 2**31 - 1


def describe(model: nn.Module) -> Description | None:
    """The description of a model, ``None`` where a part of it is not a listed layer and needs the user's code."""
    try:
        description = _describe(model)
        built = build(description)
    except (InputError, TypeError):
        return None
    return description if _layout(built) == _layout(model) else None


def build(description: Any) -> nn.Module:
    """The module of a description, on the meta device: whatever sizes it claims, nothing is allocated.

    Raises:
        InputError: the description names an unknown layer or arguments that the layer refuses.
    """
    with torch.device("meta"):
        return _Builder().build(description, 0)


def _layout(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _types() -> dict[str, type[nn.Module]]:
    return STOCK | {"BackboneHead": BackboneHead} | dict(ArithmeticLayer.registry)


def _describe(module: nn.Module) -> Description:
    kind = type(module).__name__
    if type(module) is nn.Sequential:
        return {"type": kind, "children": {name: _describe(child) for name, child in module.named_children()}}
    if _types().get(kind) is not type(module):
        raise InputError(f"{kind} is not a listed layer")
    arguments = constructor_arguments(module)
    return {"type": kind, "args": {name: _plain(value) for name, value in arguments.items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return _describe(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise InputError(f"{value!r} is not plain data")


class _Builder:
    """Builds a tree and counts its nodes, because a hostile description may nest or repeat without end."""

    def __init__(self) -> None:
        self._nodes = 0

    def build(self, description: Any, depth: int) -> nn.Module:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise InputError(f"its model description is deeper than {MAX_DEPTH} or larger than {MAX_NODES} layers")
        if not isinstance(description, dict) or not isinstance(description.get("type"), str):
            raise InputError(f"its model description has {_short(description)} where a layer should be")
        kind = description["type"]
        if kind == "Sequential":
            children = description.get("children")
            if not isinstance(children, dict):
                raise InputError("its model description has a Sequential without children")
            built = OrderedDict((str(name), self.build(child, depth + 1)) for name, child in children.items())
            return self._construct(kind, lambda: nn.Sequential(built))
        if kind not in _types():
            raise InputError(
                f"its model description names the layer {_short(kind)}, which is not known here; "
                "give --model package.module:factory to build the model"
            )
        arguments = description.get("args", {})
        if not isinstance(arguments, dict):
            raise InputError(f"its model description gives {kind} {_short(arguments)} for arguments")
        values = {str(name): self._value(kind, value, depth) for name, value in arguments.items()}
        positional = values.pop("dims", ())
        return self._construct(kind, lambda: _types()[kind](*positional, **values))

    def _value(self, kind: str, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self.build(value, depth + 1)
        if isinstance(value, (list, tuple)) and len(value) <= MAX_NODES:
            return tuple(self._value(kind, item, depth) for item in value)
        if value is None or type(value) in (bool, float, str) or (type(value) is int and abs(value) <= MAX_INT):
            return value
        raise InputError(f"its model description gives {kind} the argument {_short(value)}")

    @staticmethod
    def _construct(kind: str, make: Any) -> nn.Module:
        try:
            module = make()
        except InputError as error:
            raise InputError(f"its model description: {kind}: {error}") from error
        except Exception as error:
            # torch's constructors check little: a hostile argument fails as whatever happens to break first.
            raise InputError(f"its model description: {kind}: {first_line(error)}") from error
        assert isinstance(module, nn.Module)
        return module


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
