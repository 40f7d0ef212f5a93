"""Importing a library that only some users install."""

import importlib
from typing import Any

from nalu_export.errors import RuntimeUnavailableError


def import_library(module: str, runtime: str, extra: str) -> Any:
    """A library's module, untyped, or an error that says what to install.

    Args:
        module: name of the module, which is the library's.
        runtime: who needs it, for the message.
        extra: the extra of this package that installs it.

    Raises:
        RuntimeUnavailableError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"{runtime}: {module} is not installed; pip install 'nalu_export[{extra}]'"
        raise RuntimeUnavailableError(message) from error
