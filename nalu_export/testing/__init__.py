"""Parity as an assertion, for the tests of a project that trains and exports models.

Importing this does not import torch, because pytest imports the plugin in every run.
"""

from typing import TYPE_CHECKING, Any

from nalu_export.testing.errors import ParityAssertionError

if TYPE_CHECKING:
    from nalu_export.testing.assertion import assert_parity

__all__ = ["ParityAssertionError", "assert_parity"]


if not TYPE_CHECKING:  # a type checker that sees a module's __getattr__ accepts every name

    def __getattr__(name: str) -> Any:
        if name == "assert_parity":
            from nalu_export.testing.assertion import assert_parity

            return assert_parity
        raise AttributeError(f"module 'nalu_export.testing' has no attribute {name!r}")
