"""The promise of the design: a new runtime is one file, and then every check can run in it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import nalu_export
from nalu_export import NAC, InputError, runtimes
from tests.plugins import one_more, read_anew

FILE = '''
"""The model itself, in one more runtime."""

import torch

from nalu_export.runtimes.base import Runtime, Session


class _BrandNewSession(Session):
    where = "brand-new 1.0, CPU"
    details = {"library": "brand-new 1.0", "device": "CPU", "provider": "-", "options": "", "threads": "1"}

    def __init__(self, model):
        self._model = model

    def run(self, inputs):
        with torch.no_grad():
            return [result.numpy() for result in self._model(*map(torch.from_numpy, inputs))]


class _BrandNewRuntime(Runtime):
    name = "brand-new"
    format = None
    own_weights = True

    def load(self, model, data, options):
        return _BrandNewSession(model)


RUNTIME = _BrandNewRuntime()
'''


def test_one_file_is_all_that_a_runtime_takes(nac: NAC, tmp_path: Path) -> None:
    nalu_export.export(nac, tmp_path / "model.onnx", check=False)
    with one_more(runtimes, "brand_new", FILE, tmp_path / "more"):
        report = nalu_export.check(nac, tmp_path / "model.onnx", runtimes="brand-new", samples=8, search=0)
    assert report.passed
    assert [(runtime.name, runtime.where) for runtime in report.runtimes] == [("brand-new", "brand-new 1.0, CPU")]


def test_a_fault_of_it_is_caught(nac: NAC, tmp_path: Path) -> None:
    nalu_export.export(nac, tmp_path / "model.onnx", check=False)
    with one_more(runtimes, "brand_new", FILE.replace("[result.", "[1.001 * result."), tmp_path / "more"):
        report = nalu_export.check(nac, tmp_path / "model.onnx", runtimes="brand-new", samples=8, search=0)
    assert not report.passed
    assert report.summary().startswith("brand-new on distribution ")


def test_the_command_line_takes_it(nac: NAC, tmp_path: Path) -> None:
    nalu_export.save(nac, tmp_path / "model.pt")
    nalu_export.export(nac, tmp_path / "model.onnx", check=False)
    files = [str(tmp_path / "model.pt"), str(tmp_path / "model.onnx")]
    options = ["--runtime", "brand-new", "--samples", "8", "--search", "0"]
    with read_anew("nalu_export.cli.check") as module, one_more(runtimes, "brand_new", FILE, tmp_path / "more"):
        result = CliRunner().invoke(module().check, [*files, *options])
    assert result.exit_code == 0
    assert "brand-new 1.0, CPU" in result.stdout


def test_without_the_file_it_is_unknown(nac: NAC, tmp_path: Path) -> None:
    nalu_export.export(nac, tmp_path / "model.onnx", check=False)
    with pytest.raises(InputError, match=r"^runtime is 'brand-new'; allowed: "):
        nalu_export.check(nac, tmp_path / "model.onnx", runtimes="brand-new")
