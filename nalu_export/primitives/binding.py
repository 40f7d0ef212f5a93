"""Brings the arguments of a call into one fixed order: torch accepts them by position, by keyword and by synonyms."""

from collections.abc import Mapping, Sequence
from typing import Any

# Synonyms: aten calls the input "self", numpy calls a dimension "axis".
_SYNONYMS = {"self": "input", "axis": "dim", "keepdims": "keepdim"}


def bound(
    parameters: Sequence[str],
    defaults: Mapping[str, Any],
    neutral: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> tuple[Any, ...] | None:
    """Return the arguments of a call in the order of ``parameters``.

    Args:
        parameters: names of all arguments.
        defaults: values of the optional arguments.
        neutral: further accepted keyword arguments, each with the only accepted value, which changes nothing.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call. An unknown one is accepted if it is ``None``: aten writes out arguments
            that were not given.

    Returns:
        The arguments, or ``None`` if an argument is missing, given twice or unknown.
    """
    if len(args) > len(parameters):
        return None
    found = dict(zip(parameters, args, strict=False))
    for given, value in kwargs.items():
        name = given if given in parameters else _SYNONYMS.get(given, given)
        if name in parameters and name not in found:
            found[name] = value
        elif name in parameters or not (value is None or (given in neutral and value == neutral[given])):
            return None
    found = {**defaults, **found}
    return tuple(found[name] for name in parameters) if len(found) == len(parameters) else None
