"""The archives and the environment that the tests of the package share."""

import re
from pathlib import Path

import pytest

from tests.package.archives import ROOT, Archives, Installed, build, install


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Wheel and sdist of this checkout."""
    return build(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="session")
def installed(archives: Archives, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment that has the wheel."""
    return install(archives.wheel, tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="session")
def ten_lines() -> str:
    """The first Python program of README.md."""
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="session")
def models(installed: Installed, ten_lines: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``model.pt`` and ``model.onnx``, made by the README's program in that environment."""
    folder = tmp_path_factory.mktemp("models")
    assert installed.python(f"import torch\ntorch.manual_seed(0)\n{ten_lines}", cwd=folder)
    assert {path.name for path in folder.iterdir()} == {"model.pt", "model.onnx"}
    return folder
