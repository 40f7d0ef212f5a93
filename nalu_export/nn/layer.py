"""The base class that marks a module as arithmetic, so that it is traced and never handed to an optimizer."""

import inspect
from typing import Any, ClassVar

from torch import nn


class ArithmeticLayer(nn.Module):
    """A module whose ``forward`` is the formula that every format, fold and check is read off.

    A subclass needs nothing but ``__init__`` and ``forward``. ``forward`` takes one tensor ``(..., in_features)``,
    returns one tensor ``(..., out_features)`` and is written with the primitives of
    :mod:`nalu_export.primitives`. Constructor arguments are kept as attributes of the same names: that is how
    :func:`nalu_export.save` describes the layer as data, and how the class is found again by its name.
    """

    registry: ClassVar[dict[str, type["ArithmeticLayer"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        held = ArithmeticLayer.registry.get(cls.__name__)
        # A user's class of the same name must not become what a file means by, say, NALUCell.
        if held is None or not held.__module__.startswith("nalu_export."):
            ArithmeticLayer.registry[cls.__name__] = cls


def constructor_arguments(module: nn.Module) -> dict[str, Any]:
    """Arguments that rebuild ``module``, read from its attributes of the same names.

    A parameter without such an attribute (an initialiser, a device) is left to its default; ``bias`` is stored
    as a tensor or ``None`` by torch and becomes a bool. Arguments of torch's own layers that are at their default
    are left out, because a later torch adds more of them.
    """
    arguments: dict[str, Any] = {}
    own = type(module).__module__.startswith("torch.")
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if name in ("self", "device", "dtype") or not hasattr(module, name):
            continue
        value = getattr(module, name)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(value)
            continue
        value = value is not None if name == "bias" else value
        if not (own and type(value) is type(parameter.default) and value == parameter.default):
            arguments[name] = value
    return arguments
