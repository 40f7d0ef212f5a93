"""Base class of the arithmetic layers: this package traces their code and never hands it to a general optimizer."""

import inspect
from typing import Any, ClassVar

from torch import nn


class ArithmeticLayer(nn.Module):
    """A module whose ``forward`` is the formula. Every format, the folding and the check read that formula.

    A subclass needs only ``__init__`` and ``forward``. ``forward`` takes one tensor ``(..., in_features)``,
    returns one tensor ``(..., out_features)`` and is written with the primitives of
    :mod:`nalu_export.primitives`. ``__init__`` keeps its arguments as attributes of the same names:
    :func:`nalu_export.save` stores them, and the name of the class, as data. ``registry`` finds the class by its name.
    """

    registry: ClassVar[dict[str, type["ArithmeticLayer"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        held = ArithmeticLayer.registry.get(cls.__name__)
        # A user's class named NALUCell must not replace the NALUCell of this package, which saved files refer to.
        if held is None or not held.__module__.startswith("nalu_export."):
            ArithmeticLayer.registry[cls.__name__] = cls


def constructor_arguments(module: nn.Module) -> dict[str, Any]:
    """Return the arguments that rebuild ``module``, read from its attributes of the same names.

    An argument without such an attribute (an initialiser, a device) keeps its default. Torch stores ``bias`` as a
    tensor or ``None``; here it is a bool. For torch's own layers, arguments at their default are left out, because
    later versions of torch add new arguments.
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
