"""Reads the arguments of a call by the names that torch documents."""

from typing import Any

from torch import fx


def arguments(node: fx.Node, *names: str, **defaults: Any) -> dict[str, Any] | None:
    """Return the arguments of a call by name: ``names``, then ``defaults``; ``None`` if one is missing or unknown."""
    order = (*names, *defaults)
    kwargs = {"input" if name == "self" and "self" not in order else name: value for name, value in node.kwargs.items()}
    kwargs = {{"axis": "dim", "keepdims": "keepdim"}.get(name, name): value for name, value in kwargs.items()}
    # aten writes out arguments that are None.
    kwargs = {name: value for name, value in kwargs.items() if name in order or value is not None}
    if len(node.args) > len(order) or not set(kwargs) <= set(order):
        return None
    found = {**defaults, **dict(zip(order, node.args, strict=False)), **kwargs}
    return found if set(order) == set(found) else None


def sizes_of(given: Any) -> list[Any]:
    """Return sizes that are written one by one, ``x.view(2, 3)``, or in a list, ``x.view((2, 3))``."""
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        return list(given[0])
    return list(given)


def are_numbers(values: Any) -> bool:
    """Return whether all values are plain integers."""
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)
