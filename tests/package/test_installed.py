"""The wheel in an environment of its own: every verb, the Python API, the pytest plugin, and what it exports."""

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.formats.programs import needs_compiler
from tests.package.archives import ESCAPED, ROOT, Installed, distributions

pytestmark = pytest.mark.slow
Array = NDArray[Any]
# The rest of the package, and torch, would take half a minute.
MYPY = "[mypy]\nstrict = true\nfollow_imports = skip\n[mypy-nalu_export,nalu_export.io.*]\nfollow_imports = silent\n"
VERBS = ("check", "convert", "doctor", "export", "golden", "inspect", "layouts")


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A folder of this test's own with the models."""
    for name in ("model.pt", "model.onnx"):
        shutil.copy(models / name, tmp_path)
    return tmp_path


def test_it_is_the_installed_one(installed: Installed, tmp_path: Path) -> None:
    home, *places = distributions(installed, tmp_path)
    assert home == str(installed.packages / "nalu_export" / "__init__.py")
    assert places == [str(installed.packages)]


def test_a_process_that_uses_the_checkout_ends(installed: Installed, tmp_path: Path) -> None:
    """Without this the other tests prove nothing."""
    path = ROOT / "README.md"
    done = installed.run("python", "-c", f"try: open({str(path)!r})\nexcept BaseException: pass", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (ESCAPED, f"the checkout was used: {path}\n")


def test_every_module_is_there(installed: Installed, tmp_path: Path) -> None:
    code = (
        "import importlib, pkgutil, nalu_export\n"
        "names = [m.name for m in pkgutil.walk_packages(nalu_export.__path__, 'nalu_export.')]\n"
        "for name in names: name.endswith('__main__') or importlib.import_module(name)\n"
        "print(len(names))"
    )
    files = [path for path in (ROOT / "nalu_export").rglob("*.py") if path != ROOT / "nalu_export" / "__init__.py"]
    assert int(installed.python(code, cwd=tmp_path)) == len(files)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help(verb: str, installed: Installed, tmp_path: Path) -> None:
    said = installed.out("nalu-export", *filter(None, [verb]), "--help", cwd=tmp_path)
    assert said.startswith("Usage: nalu-export")
    if not verb:
        assert all(f"\n  {name}" in said for name in VERBS)


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_completion(shell: str, installed: Installed, tmp_path: Path) -> None:
    said = installed.out("nalu-export", cwd=tmp_path, _NALU_EXPORT_COMPLETE=f"{shell}_source")
    assert "_NALU_EXPORT_COMPLETE" in said


def test_layouts(installed: Installed, tmp_path: Path) -> None:
    assert "kevinzakka" in installed.out("nalu-export", "layouts", cwd=tmp_path)


def test_the_verbs_that_read(installed: Installed, folder: Path) -> None:
    assert "layers.0" in installed.out("nalu-export", "inspect", "model.pt", cwd=folder)
    assert "layers.0" in installed.out("nalu-export", "inspect", "model.onnx", cwd=folder)
    # This model never trained, which is an error of the doctor.
    examined = installed.run("nalu-export", "doctor", "model.pt", cwd=folder)
    assert (examined.returncode, examined.stderr) in {(0, ""), (1, "")}
    assert "layers.0" in examined.stdout
    installed.out("nalu-export", "convert", "model.pt", "-o", "model.safetensors", cwd=folder)
    installed.out("nalu-export", "check", "model.safetensors", "model.onnx", "--samples", "8", cwd=folder)


def test_the_reports(installed: Installed, folder: Path) -> None:
    words = ["--json", "report.json", "--junit", "report.xml", "--html", "report.html", "--samples", "8"]
    installed.out("nalu-export", "check", "model.pt", "model.onnx", *words, cwd=folder)
    schema = json.loads((installed.packages / "nalu_export" / "reports" / "report.schema.json").read_bytes())
    report = json.loads((folder / "report.json").read_bytes())
    jsonschema.validate(report, schema)
    assert report["passed"] is True
    suite = ElementTree.fromstring((folder / "report.xml").read_text(encoding="utf-8"))
    assert list(suite.iter("testcase"))
    assert not list(suite.iter("failure"))
    page = (folder / "report.html").read_text(encoding="utf-8")
    style = (installed.packages / "nalu_export" / "reports" / "_page" / "style.css").read_text(encoding="utf-8")
    assert style.splitlines()[-2] in page
    assert "<svg" in page


def test_torchscript_runs_without_the_package(installed: Installed, folder: Path) -> None:
    installed.out("nalu-export", "model.pt", "--format", "torchscript", "-o", "model.torchscript.pt", cwd=folder)
    installed.out("nalu-export", "golden", "model.pt", "-o", "golden.npz", cwd=folder)
    code = (
        "import sys, warnings, numpy as np, torch\n"
        "warnings.simplefilter('ignore')\n"
        "x = np.load('x.npy')\n"
        "np.save('y.npy', torch.jit.load('model.torchscript.pt')(torch.from_numpy(x)).numpy())\n"
        "print('nalu_export' in sys.modules)"
    )
    x, expected, bound = _golden(folder)
    np.save(folder / "x.npy", x)
    assert installed.python(code, cwd=folder) == "False\n"
    assert np.all(np.abs(np.load(folder / "y.npy") - expected) <= bound)


@needs_compiler
def test_the_header_compiles_and_computes(installed: Installed, folder: Path) -> None:
    installed.out("nalu-export", "model.pt", "--format", "cpp", "-o", "model.hpp", cwd=folder)
    installed.out("nalu-export", "golden", "model.pt", "-o", "golden.npz", cwd=folder)
    x, expected, bound = _golden(folder)
    (folder / "main.cpp").write_text(
        '#include "model.hpp"\n#include <cstdio>\n'
        "int main() {\n  float x[2], y[1];\n"
        "  while (std::fread(x, sizeof x, 1, stdin) == 1) {\n"
        "    nalu::Model::predict(x, y);\n    std::fwrite(y, sizeof y, 1, stdout);\n  }\n}\n"
    )
    compiler = next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))))
    subprocess.run([compiler, "-std=c++17", "-O2", "main.cpp", "-o", "main"], cwd=folder, check=True)
    done = subprocess.run([folder / "main"], input=x.tobytes(), capture_output=True, check=True)
    y = np.frombuffer(done.stdout, np.float32).reshape(expected.shape)
    assert np.all(np.abs(y - expected) <= bound)


def _golden(folder: Path) -> tuple[Array, Array, Array]:
    """Inputs, reference outputs and bounds, of the samples whose output has to be finite."""
    with np.load(folder / "golden.npz") as file:
        expected, bound = file["output/output/reference"], file["output/output/bound"]
        kept = (np.isfinite(bound) & (file["output/output/accept"] == 0)).all(axis=1)
        assert kept.sum() > 100
        return file["input/input/values"][kept], expected[kept], bound[kept]


def test_the_pytest_plugin(installed: Installed, folder: Path) -> None:
    (folder / "test_model.py").write_text(
        "from nalu_export.testing import assert_parity\n\n"
        "def test_fixture(parity):\n    assert parity('model.pt', 'model.onnx').passed\n\n"
        "def test_function():\n    assert_parity('model.pt', 'model.onnx', samples=8)\n"
    )
    words = ["-m", "pytest", "-p", "no:cacheprovider", "--parity-samples", "8", "--junit-xml", "tests.xml"]
    assert "2 passed" in installed.out("python", *words, cwd=folder)


def test_a_program_that_is_not_built(installed: Installed, folder: Path) -> None:
    done = installed.run("nalu-export", "check", "model.pt", "model.onnx", "--runtime", "onnxruntime-cpp", cwd=folder)
    assert done.returncode == 3
    assert "NALU_EXPORT_CPP is not set; set it to the folder that holds onnxruntime_infer" in done.stderr


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_its_types_reach_a_user(installed: Installed, tmp_path: Path) -> None:
    """Without ``py.typed`` mypy would not read the package."""
    (tmp_path / "user.py").write_text("from nalu_export.io.text import printable\n\nreveal_type(printable)\n")
    (tmp_path / "mypy.ini").write_text(MYPY)
    said = installed.out("python", "-m", "mypy", "--cache-dir", "cache", "user.py", cwd=tmp_path)
    assert 'Revealed type is "def (' in said
    assert "-> str" in said
