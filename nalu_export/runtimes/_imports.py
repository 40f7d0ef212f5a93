"""Imports of optional libraries."""

import importlib
from typing import Any

from nalu_export.errors import RuntimeUnavailableError


def import_library(module: str, runtime: str, extra: str) -> Any:
    """Import an optional library; if it is missing, the error says what to install.

    Args:
        module: name of the module, which is the library's name.
        runtime: the runtime that needs it, for the message.
        extra: the extra of this package that installs it.

    Raises:
        RuntimeUnavailableError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"{runtime}: {module} is not installed; pip install 'nalu_export[{extra}]'"
        raise RuntimeUnavailableError(message) from error
