"""What the checkpoint tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nalu_export import InputError, load
from nalu_export.io.keywords import flags_in_errors
from tests.checkpoints.files import time_limit

Refusal = Callable[..., str]


@pytest.fixture(autouse=True)
def as_on_the_command_line() -> Iterator[None]:
    """Texts are held as they are written, with flags; tests/io/test_keywords.py holds what Python makes of them."""
    with flags_in_errors():
        yield


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """Writes bytes to a file, loads it, and gives the text of the refusal without the file's name.

    Every refusal is one line that starts with the path, and it takes no longer than a good file.
    """

    def refused(data: bytes, name: str = "model.pt", **options: Any) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        with time_limit(20), pytest.raises(InputError) as caught:
            load(path, **options)
        text = str(caught.value)
        assert "\n" not in text
        assert len(text) < 700
        assert text.startswith(f"{path}: ")
        assert path.read_bytes() == data
        assert [file.name for file in tmp_path.iterdir()] == [name]
        return text.removeprefix(f"{path}: ")

    return refused
