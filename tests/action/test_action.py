"""action.yml: its own shell steps, run in bash as GitHub's runner runs them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nalu_export import export
from tests.action.conftest import FEW, Act, interpreter, model

NAMES = ["model.pt", "my model.pt", "$(touch pwned).pt", "`touch pwned`;'\".pt", "-x.pt", "größe.pt", "a\nb\r.pt"]


def test_no_input_is_text_of_a_script(action: dict[str, Any]) -> None:
    """GitHub pastes ``${{ … }}`` into the script before any shell quotes it."""
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"], step["name"]
        assert step["shell"] == "bash"


def test_every_input_is_used_and_described(action: dict[str, Any]) -> None:
    assert action["runs"]["using"] == "composite"
    texts = [text for step in action["runs"]["steps"] for text in step["env"].values()]
    for name, spec in action["inputs"].items():
        assert f"${{{{ inputs.{name} }}}}" in texts, name
        assert spec["description"]
        assert spec.get("required") or isinstance(spec["default"], str), name
    for name, spec in action["outputs"].items():
        expression = f"steps.check.outputs.{name}" + (" || 'false'" if name == "passed" else "")
        assert spec["value"] == f"${{{{ {expression} }}}}"
        assert spec["description"]


def test_the_package_is_installed_from_the_checkout_of_the_action(action: dict[str, Any], tmp_path: Path) -> None:
    """With pip in place of which something says what it was asked for."""
    step = action["runs"]["steps"][0]
    python = tmp_path / "a python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    assert step["env"]["ACTION"] == "${{ github.action_path }}"
    environment = os.environ | {"ACTION": "/the action", "PYTHON": str(python), "EXTRAS": "cpu,$(touch pwned)"}
    done = subprocess.run(["bash", "-ec", step["run"]], env=environment, cwd=tmp_path, capture_output=True, check=True)
    assert done.stderr.decode().splitlines() == [
        "-m", "pip", "install", "--quiet", "--constraint", "/the action/constraints.txt",
        "/the action[cpu,$(touch pwned)]",
    ]  # fmt: skip
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_any_name_is_exported_and_checked(name: str, act: Act, tmp_path: Path) -> None:
    done = act(model=model(name), args=FEW)
    assert (done.code, done.stderr) == (0, "")
    assert done.outputs["passed"] == "true"
    assert done.summary.startswith("### Parity: passed\n")
    assert "| `onnxruntime-cpu` |" in done.summary
    assert os.listdir() == [name]
    assert json.loads(Path(done.outputs["json"]).read_text(encoding="utf-8"))["passed"] is True
    assert Path(done.outputs["worst"]).is_file()
    assert Path(done.outputs["artifact"]).is_file()
    assert (done.outputs["junit"], done.outputs["html"]) == ("", "")
    assert not (tmp_path / "pwned").exists()


@pytest.fixture
def wrong(act: Act) -> dict[str, str]:
    """A model and a file of other weights, both with odd names."""
    source = model("my $(touch pwned).pt")
    artifact = export(model("other.pt", seed=5), "a file; touch pwned.onnx", check=False)
    Path("other.pt").unlink()
    return {"model": source, "artifact": str(artifact.path), "args": FEW}


@pytest.mark.slow
def test_a_wrong_file_ends_the_job_with_its_summary(act: Act, wrong: dict[str, str]) -> None:
    done = act(**wrong, junit="out $HOME.xml", html="out.html", json="report.json")
    assert done.code == 1
    assert done.outputs["passed"] == "false"
    assert done.summary.startswith("### Parity: FAILED\n")
    assert "**FAILED**" in done.summary
    assert "FAILED: onnxruntime-cpu on distribution " in done.stdout
    names = [wrong["model"], wrong["artifact"], "out $HOME.xml", "out.html", "report.json", "report.worst.npz"]
    assert sorted(os.listdir()) == sorted(names)
    assert {name: done.outputs[name] for name in ("json", "junit", "html", "artifact")} == {
        "json": "report.json", "junit": "out $HOME.xml", "html": "out.html", "artifact": wrong["artifact"],
    }  # fmt: skip
    assert done.outputs["worst"] == "./report.worst.npz"


@pytest.mark.slow
def test_a_wrong_file_is_an_output_where_asked(act: Act, wrong: dict[str, str]) -> None:
    done = act(**wrong, fail_on_parity="false")
    assert (done.code, done.outputs["passed"]) == (0, "false")
    assert done.summary.startswith("### Parity: FAILED\n")


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("inputs", "code", "text"),
    [
        ({"model": "none.pt"}, 2, "none.pt: cannot be read"),
        ({"artifact": "none.onnx"}, 2, "none.onnx: cannot be read"),
        ({"format": "flatbuffer"}, 2, "'flatbuffer' is not one of "),
        ({"runtimes": "nothing"}, 2, "'nothing' is not one of "),
        ({"args": "--samples=0"}, 2, "0 is not in the range"),
        ({"args": "--samples 8"}, 2, "No such option"),
        ({"json": "model.pt"}, 2, "model.pt: the report would replace model.pt"),
        ({"runtimes": "tract"}, 3, "tract: tract is not installed"),
    ],
    ids=str,
)
def test_a_check_that_could_not_run_ends_the_job_whatever_is_asked(
    inputs: dict[str, str], code: int, text: str, act: Act, tmp_path: Path
) -> None:
    if code == 3:
        inputs["python"] = str(interpreter(tmp_path / "python", "import sys; sys.modules['tract'] = None"))
    done = act(**({"model": model()} | inputs), fail_on_parity="false")
    assert done.code == code
    assert text in done.stderr
    assert text in done.summary
    assert done.summary.startswith(f"### Parity: not checked (exit code {code})\n")
    assert done.outputs == {"passed": "false"}


@pytest.mark.slow
def test_an_old_report_is_not_taken_for_a_new_one(act: Act, tmp_path: Path) -> None:
    """A crash must neither pass nor show what an earlier check found."""
    assert act(model=model(), args=FEW, json="r.json").code == 0
    crash = "import nalu_export.api.check\nnalu_export.api.check.check = None"
    python = interpreter(tmp_path / "python", crash)
    done = act(python=str(python), model="model.pt", args=FEW, json="r.json", fail_on_parity="false")
    assert done.code == 70
    assert "not callable" in done.summary
    assert done.outputs == {"passed": "false"}


@pytest.mark.slow
def test_several_runtimes_and_arguments(act: Act) -> None:
    done = act(model=model(), runtimes="  onnxruntime-cpu\n torch ", args=f"{FEW}\n--range\n1\n2\n")
    assert done.code == 0
    found = json.loads(Path(done.outputs["json"]).read_text(encoding="utf-8"))
    assert [runtime["name"] for runtime in found["runtimes"]] == ["onnxruntime-cpu", "torch"]
    assert "1..2" in {row["distribution"] for row in found["rows"]}


@pytest.mark.slow
def test_torchscript(act: Act) -> None:
    done = act(model=model(), format="torchscript", args=FEW)
    assert done.code == 0
    assert "| `torchscript` |" in done.summary
