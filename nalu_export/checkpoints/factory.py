"""A module that the user's own code builds: a model for the weights of a file, or the CNN before a head."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from torch import nn

from nalu_export.errors import InputError, first_line

Factory = nn.Module | Callable[[], nn.Module] | str


def from_factory(factory: Factory, option: str = "--model") -> nn.Module:
    """The module of a factory: itself, what a function gives, or what ``"package.module:function"`` gives.

    Args:
        factory: which.
        option: that it was given with, for the text of an error.

    Raises:
        InputError: the text is not ``package.module:function``, the import fails, or it gives something else.
    """
    made: Any = factory
    name = factory if isinstance(factory, str) else getattr(factory, "__name__", type(factory).__name__)
    try:
        if isinstance(factory, str):
            made = _imported(factory, option)
        if not isinstance(made, nn.Module):
            made = made()
    except InputError:
        raise
    except Exception as error:
        # The user's code may raise anything; what it raised is what they need to see.
        raise InputError(f"{option} {name}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(made, nn.Module):
        raise InputError(f"{option} {name}: gives a {type(made).__name__}, not a torch.nn.Module")
    return made


def _imported(factory: str, option: str) -> Any:
    module, _, attribute = factory.partition(":")
    if not module or not attribute:
        raise InputError(f"{option} is {factory!r}; expected package.module:factory")
    sys.path.insert(0, os.getcwd())  # a console script does not have the working directory on its path
    try:
        return getattr(importlib.import_module(module), attribute)
    finally:
        sys.path.pop(0)
