"""What a type checker says of a user's script, and that it is told what there is at run time."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import nalu_export
from nalu_export import formats
from nalu_export.api.check import CheckArguments
from nalu_export.api.export import ExportSettings
from nalu_export.api.golden import GoldenArguments, GoldenOptions
from nalu_export.checkpoints.options import FileKeywords, ReadOptions
from nalu_export.doctor import DiagnoseArguments, Settings
from nalu_export.formats._keywords import FormatKeywords
from nalu_export.formats.base import EmitOptions
from nalu_export.parity.options import CheckKeywords, CheckOptions
from nalu_export.source.preparing import SourceFileKeywords, SourceKeywords, SourceOptions
from nalu_export.testing import assert_parity

# Each line with `# error:` is wrong, for the reason that stands there; the others are right.
SCRIPT = """
from pathlib import Path
from typing import Unpack

import numpy as np
import torch

import nalu_export
from nalu_export.testing import assert_parity

model = nalu_export.NALU(3, 2)
nalu_export.save(model, "model.pt")
again: torch.nn.Module = nalu_export.load("model.pt", eps=1e-10, layout="kevinzakka", trust=True, strict=False)
nalu_export.load(Path("model.pt"), lambda: nalu_export.NALU(3, 2), key="ema", prefix="head")
artifact: nalu_export.Artifact = nalu_export.export(
    model, "model.onnx", weights="live", compute="float64", opset=18, check=False, seed=1, input_size=(8, 8)
)
nalu_export.export("model.pt", format="cpp", namespace="a::b", struct="Head", extern_c=True, part="head")
nalu_export.export(model, example_inputs=torch.zeros(1, 3), arithmetic=["layers.0", nalu_export.NALUCell])
nalu_export.export(model, progress=lambda text, done, steps: None, samples=8, runtimes=["onnx"]).data.hex()
report: nalu_export.Report = nalu_export.check(
    model, artifact, ["torch", "onnxruntime-cpu"], samples=8, search=0, ranges=[(0.0, 1.0)], inputs={"x": np.zeros(3)}
)
nalu_export.check("model.pt", "model.onnx", "all", max_ulp=4, device=0, input_size=(8, 8))
diagnosis: nalu_export.Diagnosis = nalu_export.diagnose("model.pt", compute="float16", strict=True)
nalu_export.diagnose(model, training_range=(0.1, 1.0))
facts = nalu_export.inspect("model.onnx", trust=True)["layers"]
nalu_export.convert("model.pt", "own.safetensors", layout="kevinzakka").self_contained
golden: nalu_export.Golden = nalu_export.write_golden(model, "golden.npz", part=None, samples=2, seed=0).golden
nalu_export.read_golden("golden.npz").inputs[0].name
swept: nalu_export.Sweep = nalu_export.sweep(["runs/**/*.pt", Path("a.pt")], "out", jobs=2, ship=True, opset=18)
nalu_export.sweep("zoo", "out", dask="tcp://a:1", check_only=True, progress=lambda tally: print(tally.done)).records
assert_parity(model, skip_missing=True, opset=17, weights="folded", rtol=1e-3, format="onnx").passed
assert_parity(model, artifact, "all", save_to=".", replay="a.npz")

def mine(**options: Unpack[nalu_export.ExportOptions]) -> bytes:
    common: nalu_export.ExportOptions = {"weights": "live", "opset": 18}
    nalu_export.export(model, **common)
    return nalu_export.export(model, **options).data

nalu_export.export(model, wieghts="live")  # error: Unexpected keyword argument "wieghts"
nalu_export.export(model, opset="18")  # error: Argument "opset" to "export" has incompatible type "str"
nalu_export.export(model, weights="frozen")  # error: Argument "weights" to "export" has incompatible type
nalu_export.export(model, compute="float16")  # error: Argument "compute" to "export" has incompatible type
nalu_export.export(model, format="onxx")  # error: Argument "format" to "export" has incompatible type
nalu_export.export(model, extern_c="yes")  # error: Argument "extern_c" to "export" has incompatible type
nalu_export.export(model, samples="8")  # error: Argument "samples" to "export" has incompatible type
nalu_export.export(model, check="no")  # error: Argument "check" to "export" has incompatible type
nalu_export.export()  # error: Too few arguments for "export"
nalu_export.check(model, artifact, sampels=3)  # error: Unexpected keyword argument "sampels"
nalu_export.check(model, artifact, opset=18)  # error: Unexpected keyword argument "opset"
nalu_export.check(model, artifact, samples="3")  # error: Argument "samples" to "check" has incompatible type
nalu_export.load("model.pt", layuot="x")  # error: Unexpected keyword argument "layuot"
nalu_export.load("model.pt", task="sorting")  # error: Argument "task" to "load" has incompatible type
nalu_export.save(model)  # error: Missing positional argument "path"
nalu_export.convert("a.pt", "b.pt", weights="live")  # error: Unexpected keyword argument "weights"
nalu_export.diagnose(model, compute="float8")  # error: Argument "compute" to "diagnose" has incompatible type
nalu_export.diagnose(model, inputs=(0.1, 1.0))  # error: Unexpected keyword argument "inputs"
nalu_export.inspect(model, factory="net.py:f")  # error: Unexpected keyword argument "factory"
nalu_export.write_golden(model, "g.bin", sample=2)  # error: Unexpected keyword argument "sample"
nalu_export.sweep("zoo")  # error: Too few arguments for "sweep"
nalu_export.sweep("zoo", "out", jobs="2")  # error: Argument "jobs" to "sweep" has incompatible type "str"
nalu_export.sweep("zoo", "out", opsett=18)  # error: Unexpected keyword argument "opsett"
assert_parity(model, weigths="live")  # error: Unexpected keyword argument "weigths"
assert_parity(model, opset="18")  # error: Argument "opset" to "assert_parity" has incompatible type "str"
nalu_export.exprot  # error: Module has no attribute "exprot"
"""


def test_mypy_rejects_what_is_wrong_in_a_script_and_nothing_else(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    # With the options of the configuration, so that what `make lint` found out of the package is used.
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(nalu_export.__file__).parents[1], check=False
    )
    assert done.stderr == ""
    expected = {
        number: line.partition("# error: ")[2]
        for number, line in enumerate(SCRIPT.splitlines(), start=1)
        if "# error: " in line
    }
    found: dict[int, str] = {}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r".*script\.py:(\d+): error: (.*)", line)
        if match:
            found[int(match[1])] = match[2]
    assert sorted(found) == sorted(expected), done.stdout
    for number, text in expected.items():
        assert found[number].startswith(text), (number, found[number])


PAIRS: list[tuple[Any, list[Any], set[str]]] = [
    (FileKeywords, [ReadOptions], {"model"}),
    (SourceFileKeywords, [SourceOptions], {"model"}),
    (SourceKeywords, [SourceOptions], set()),
    (CheckKeywords, [CheckOptions], set()),
    (CheckArguments, [CheckOptions, SourceOptions], set()),
    (GoldenArguments, [GoldenOptions], set()),
    (DiagnoseArguments, [Settings, SourceOptions], set()),
    (FormatKeywords, [formats.options_of(name) for name in formats.names()], set()),
    (nalu_export.ExportOptions, [ExportSettings, *(formats.options_of(name) for name in formats.names())], set()),
]


@pytest.mark.parametrize(("keywords", "holders", "besides"), PAIRS, ids=lambda value: getattr(value, "__name__", ""))
def test_keywords_are_the_fields_that_they_stand_for(keywords: Any, holders: list[Any], besides: set[str]) -> None:
    held: dict[str, Any] = {}
    for holder in reversed(holders):
        hints = get_type_hints(holder)
        held |= {each.name: hints[each.name] for each in fields(holder) if each.name not in besides}
    assert get_type_hints(keywords) == held
    assert not keywords.__required_keys__


def test_the_formats_that_a_type_checker_knows_are_those_there_are() -> None:
    assert set(get_args(formats.FormatName)) == set(formats.names())
    names = [each.name for _, each in formats.option_fields()]
    assert len(names) == len(set(names)), "an option belongs to one format"


def test_help_shows_every_argument_with_its_default() -> None:
    functions: list[Any] = [
        *(getattr(nalu_export, name) for name in ("export", "check", "load", "convert", "diagnose", "inspect")),
        nalu_export.write_golden,
        nalu_export.sweep,
        assert_parity,
    ]
    for function in functions:
        kinds = {each.kind for each in inspect.signature(function).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds, function
    shown = inspect.signature(nalu_export.export).parameters
    emitting = EmitOptions()
    assert (shown["weights"].default, shown["compute"].default) == (emitting.weights, emitting.compute)
    assert (shown["opset"].default, shown["opset"].annotation) == (20, int)
    assert shown["struct"].default == "Model"
    assert inspect.signature(assert_parity).parameters["samples"].default is None
