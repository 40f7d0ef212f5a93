"""The initialisers, by name, and the argument checks that all layers share."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from nalu_export.errors import InputError

INITIALISERS: dict[str, Callable[[Tensor], Any]] = {
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
}


def choose(what: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Return ``value`` if it is one of ``allowed``; else raise an :class:`InputError` that lists the allowed values."""
    if not any(value is option or (type(value) is type(option) and value == option) for option in allowed):
        raise InputError(f"{what} is {value!r}; allowed: {', '.join(repr(option) for option in allowed)}")
    return value


def positive_int(what: str, value: Any) -> int:
    """Return ``value`` if it is an integer of at least 1; else raise an :class:`InputError` that names ``what``."""
    if type(value) is not int or value < 1:
        raise InputError(f"{what} is {value!r}; it must be an integer of at least 1")
    return value


def initialise(init: str, *parameters: Tensor) -> None:
    """Fill each parameter in turn from torch's global generator; the same seed gives the same values."""
    function = INITIALISERS[choose("init", init, tuple(INITIALISERS))]
    for parameter in parameters:
        function(parameter)
