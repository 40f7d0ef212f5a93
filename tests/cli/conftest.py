"""The command line in this process, and files for it to work on."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from torch import nn

from nalu_export import NALU, export, save
from nalu_export.api import export as exporting
from nalu_export.api import verify as verifying
from nalu_export.cli.main import main
from nalu_export.parity import CheckRequest
from tests.captured import graph_of
from tests.exported import exported

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Runs ``nalu-export`` with these arguments; whatever is not a user's error ends the test with its traceback."""

    def invoke(*args: object, input: str | None = None) -> Result:  # noqa: A002  as CliRunner names it
        return CliRunner(catch_exceptions=False).invoke(main, [str(arg) for arg in args], input=input)

    return invoke


@pytest.fixture
def real() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """The same in a process of its own."""

    def execute(*args: str | bytes, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        command: list[Any] = [sys.executable, "-m", "nalu_export", *args]
        return subprocess.run(command, capture_output=True, env=os.environ | (env or {}), check=False)

    return execute


@pytest.fixture
def model() -> nn.Module:
    return NALU(2, 3, 1)


@pytest.fixture
def source(model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``model.pt`` in the working directory, which holds nothing else."""
    monkeypatch.chdir(tmp_path)
    save(model, "model.pt")
    return Path("model.pt")


@pytest.fixture
def artifact(source: Path) -> Path:
    return exported(source, check=False)


@pytest.fixture
def script(source: Path) -> Path:
    return exported(source, "torchscript", check=False)


@pytest.fixture
def other(source: Path) -> Path:
    """An artifact of other weights."""
    export(NALU(2, 3, 1), "other.onnx", check=False)
    return Path("other.onnx")


@pytest.fixture
def wrong_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every export is compared with another model."""
    real, other = verifying.verify, graph_of(NALU(2, 3, 1))

    def verify(request: CheckRequest, format_name: str) -> Any:
        return real(replace(request, graph=other), format_name)

    monkeypatch.setattr(exporting, "verify_file", verify)


def assert_user_error(result: Result, code: int, text: str) -> None:
    """One line on stderr, nothing on stdout."""
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"nalu-export: {text}\n"


def listing() -> list[str]:
    """What is in the working directory."""
    return sorted(os.listdir())
