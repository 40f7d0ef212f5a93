"""The import of a library that may be missing."""

from collections.abc import Callable

import pytest

from nalu_export.errors import RuntimeUnavailableError
from nalu_export.runtimes._imports import import_library


def test_what_is_there_is_imported() -> None:
    assert import_library("json", "some-runtime", "some").loads("1") == 1


def test_what_is_missing_is_named_with_what_installs_it(uninstalled: Callable[[str], None]) -> None:
    uninstalled("json")
    message = r"^some-runtime: json is not installed; pip install 'nalu_export\[some\]'$"
    with pytest.raises(RuntimeUnavailableError, match=message):
        import_library("json", "some-runtime", "some")
