"""Describes a tree of modules as plain data (type names and constructor arguments, no code) and builds it again."""

import keyword
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from nalu_export.errors import InputError, first_line, option
from nalu_export.io.text import short
from nalu_export.nn import ArithmeticLayer, BackboneHead
from nalu_export.nn.layer import constructor_arguments

Description = dict[str, Any]

# torch.nn layers that have their constructor arguments as attributes of the same names. Their forward uses no other
# module.
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
# With an explicit device, a layer would leave the meta device and allocate the sizes that the file claims.
ARGUMENTS_REFUSED = {"device", "dtype"}
LAYER_NAME = re.compile(r"[A-Za-z0-9_-]+")


def describe(model: nn.Module) -> Description | None:
    """Return the description of a model; ``None`` if a description cannot rebuild it, so that it needs user code."""
    try:
        description = _describe(model)
        built = build(description)
        faithful = _layout(built) == _layout(model) and not _lost_tensors(built)
    except (InputError, TypeError):
        return None
    return description if faithful else None


def build(description: Any) -> nn.Module:
    """Build the module of a description on the meta device, so that nothing is allocated whatever sizes it claims.

    Raises:
        InputError: the description names an unknown layer or arguments that the layer refuses.
    """
    with torch.device("meta"):
        return _Builder().build(description, 0)


def _layout(model: nn.Module) -> dict[str, Any]:
    """Return all that two models must have in common apart from their weights: shapes, layers and their arguments."""
    found: dict[str, Any] = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    listed = set(_types().values())
    for name, module in model.named_modules(remove_duplicate=False):
        arguments = constructor_arguments(module) if type(module) in listed else {}
        values = {key: _plain(value) for key, value in arguments.items() if not isinstance(value, nn.Module)}
        found[f"{name}:"] = (type(module), values)
    return found


def _lost_tensors(built: nn.Module) -> bool:
    """Return whether a module has tensors outside its state_dict: built on the meta device, they have no values."""
    kept = {id(value) for value in built.state_dict(keep_vars=True).values()}
    held = [value for module in built.modules() for value in (*vars(module).values(), *module.buffers(recurse=False))]
    return any(isinstance(value, torch.Tensor) and id(value) not in kept for value in held)


def _types() -> dict[str, type[nn.Module]]:
    return STOCK | {"BackboneHead": BackboneHead} | dict(ArithmeticLayer.registry)


def _describe(module: nn.Module | None) -> Description:
    kind = type(module).__name__
    if type(module) is nn.Sequential:
        # named_children() would leave out the second place of a module that is used twice.
        return {"type": kind, "children": {name: _describe(child) for name, child in module._modules.items()}}
    if module is None or _types().get(kind) is not type(module):
        raise InputError(f"{kind} is not a layer that a description can hold")
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
    """Builds a tree of modules and counts its nodes, because a hostile description may nest or repeat without end."""

    def __init__(self) -> None:
        self._nodes = 0

    def build(self, description: Any, depth: int) -> nn.Module:
        self._count(depth)
        if not isinstance(description, dict) or not isinstance(description.get("type"), str):
            raise InputError(f"its model description has {short(description)} where a layer should be")
        kind = description["type"]
        if kind == "Sequential":
            children = description.get("children")
            if not isinstance(children, dict):
                raise InputError("its model description has a Sequential without children")
            _refuse_foreign_names(kind, children)
            _refuse_code(children)
            built = OrderedDict((name, self.build(child, depth + 1)) for name, child in children.items())
            return self._construct(kind, lambda: nn.Sequential(built))
        if kind not in _types():
            raise InputError(
                f"its model description names the layer {short(kind)}, which this release does not know; "
                f"give {option('model', 'FILE.py:NAME')} to build the model"
            )
        arguments = description.get("args", {})
        if not isinstance(arguments, dict):
            raise InputError(f"its model description gives {kind} {short(arguments)} as arguments; expected a dict")
        _refuse_foreign_names(kind, arguments)
        values = {name: self._value(kind, value, depth + 1) for name, value in arguments.items()}
        positional = values.pop("dims", ())
        return self._construct(kind, lambda: _types()[kind](*positional, **values))

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise InputError(f"its model description is deeper than {MAX_DEPTH} or larger than {MAX_NODES} entries")

    def _value(self, kind: str, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self.build(value, depth)
        self._count(depth)
        if isinstance(value, (list, tuple)):
            return tuple(self._value(kind, item, depth + 1) for item in value)
        if value is None or type(value) in (bool, float, str) or (type(value) is int and abs(value) <= MAX_INT):
            return value
        raise InputError(f"its model description gives {kind} the argument {short(value)}")

    @staticmethod
    def _construct(kind: str, make: Any) -> nn.Module:
        try:
            module = make()
        except InputError as error:
            raise InputError(f"its model description: {kind}: {error}") from error
        except Exception as error:
            # torch's constructors check little, so a hostile argument may raise any error.
            raise InputError(f"its model description: {kind}: {first_line(error)}") from error
        assert isinstance(module, nn.Module)
        return module


def _refuse_foreign_names(kind: str, names: Iterable[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or name in ARGUMENTS_REFUSED:
            raise InputError(f"its model description gives {kind} the argument {short(name)}, which no file may set")


def _refuse_code(names: Iterable[str]) -> None:
    """Refuse layer names that are not plain: tracers write them into source text that they run, not always quoted."""
    for name in names:
        if not LAYER_NAME.fullmatch(name) or keyword.iskeyword(name):
            raise InputError(
                f"its model description has a layer named {short(name)}; "
                "expected letters, digits, _ and -, and no keyword of Python"
            )
