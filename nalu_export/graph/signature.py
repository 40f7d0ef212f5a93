"""The signature of a model's ``forward``, for messages and for binding the user's inputs."""

import inspect
from typing import Any

from torch import nn


def signature_of(model: nn.Module) -> inspect.Signature | None:
    """Return the signature of ``forward``, or ``None`` if Python cannot determine it."""
    try:
        return inspect.signature(model.forward)
    except (TypeError, ValueError):
        return None


def shown(model: nn.Module) -> str:
    """Return the text ``Net.forward(x, ids, scale=1.0)``, without the annotations, which would make it long."""
    found = signature_of(model)
    name = f"{type(model).__name__}.forward"
    if found is None:
        return f"{name}(…)"
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    return name + str(inspect.Signature(parameters))


def needed(model: nn.Module) -> list[str]:
    """Return the names of the arguments without a default."""
    found = signature_of(model)
    by_place: tuple[Any, ...] = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = () if found is None else found.parameters.values()
    kinds = (*by_place, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
