"""The steps of action.yml, a Python for them, and a workspace."""

import os
import site
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import nalu_export
from nalu_export import NALU, save
from tests.action.runner import Done, run_step

ROOT = Path(nalu_export.__file__).parent.parent
FEW = "--samples=8\n--search=0"

Act = Callable[..., Done]


def interpreter(folder: Path, sitecustomize: str = "") -> Path:
    """A Python that has this checkout and what it needs installed, as the first step of the action leaves one.

    Args:
        folder: where to make its virtual environment, which takes a moment, because it holds no pip.
        sitecustomize: code that runs whenever it starts, to break things.
    """
    venv.create(folder, symlinks=True)
    base = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=base))
    (packages / "checkout.pth").write_text(f"{os.linesep.join([str(ROOT), *site.getsitepackages()])}\n")
    if sitecustomize:
        (packages / "sitecustomize.py").write_text(sitecustomize, encoding="utf-8")
    return folder / "bin" / "python"


def assert_harmless(done: Done) -> None:
    """No command, and nothing that could become one."""
    assert done.commands == []
    for text in (done.stdout, done.stderr):
        assert "::" not in text
        assert "##[" not in text
        assert text.replace("\n", "").replace("\t", "").isprintable() or "\u2003" in text


def model(name: str = "model.pt", seed: int = 0) -> str:
    """A model.pt in the workspace."""
    torch.manual_seed(seed)
    save(NALU(2, 3, 1), f"./{name}")
    return name


@pytest.fixture(scope="session")
def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML reads action.yml; it is not installed")
    with (ROOT / "action.yml").open(encoding="utf-8") as file:
        return dict(yaml.safe_load(file))


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return interpreter(tmp_path_factory.mktemp("python"))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return folder


@pytest.fixture
def act(action: dict[str, Any], python: Path, workspace: Path, tmp_path: Path) -> Act:
    """Runs the step that checks; no text that it prints is a command."""
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "check"]

    def run(env: dict[str, str] | None = None, **given: str) -> Done:
        inputs = {name: str(spec.get("default", "")) for name, spec in action["inputs"].items()}
        inputs |= {"python": str(python)} | {name.replace("_", "-"): value for name, value in given.items()}
        done = run_step(step, inputs, tmp_path, env or {})
        assert_harmless(done)
        return done

    return run
