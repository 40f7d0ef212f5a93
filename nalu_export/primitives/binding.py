"""The arguments of a call in one fixed order, whichever way torch lets them be written."""

from collections.abc import Mapping, Sequence
from typing import Any

# Names that mean the same: aten says self, numpy says axis.
_SYNONYMS = {"self": "input", "axis": "dim", "keepdims": "keepdim"}


def bound(
    parameters: Sequence[str],
    defaults: Mapping[str, Any],
    neutral: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> tuple[Any, ...] | None:
    """The arguments in the order of ``parameters``.

    Args:
        parameters: names of all arguments.
        defaults: values of those that may be left out.
        neutral: further keyword arguments that may be given, with the one value that changes nothing.
        args: of the call.
        kwargs: of the call; one that is not known may be ``None``, as aten writes out what is not given.

    Returns:
        ``None`` where an argument is missing, is given twice or is not known.
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
