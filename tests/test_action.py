"""action.yml: its own shell steps, run in bash as GitHub's runner runs them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import nalu_export
from nalu_export import NALU, export, save

yaml = pytest.importorskip("yaml", reason="PyYAML reads action.yml; it is not installed")

ROOT = Path(nalu_export.__file__).parent.parent
FEW = "--samples=8\n--search=0"
NAMES = ["model.pt", "my model.pt", "$(touch pwned).pt", "`touch pwned`;'\".pt", "-x.pt", "größe.pt"]


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    with (ROOT / "action.yml").open(encoding="utf-8") as file:
        return dict(yaml.safe_load(file))


@dataclass(frozen=True)
class Done:
    """What a run of the action leaves."""

    code: int
    stdout: str
    stderr: str
    outputs: dict[str, str]
    summary: str


Act = Callable[..., Done]


@pytest.fixture
def act(action: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Act:
    """Runs the step that checks, in a fresh workspace, as the runner does: ``bash --noprofile --norc -eo pipefail``."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "temp").mkdir()
    monkeypatch.chdir(workspace)
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "check"]

    def run(**inputs: str) -> Done:
        values = {name: str(spec.get("default", "")) for name, spec in action["inputs"].items()}
        values |= {"python": sys.executable} | {name.replace("_", "-"): value for name, value in inputs.items()}
        environment = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: values[found[1]], text)
            for name, text in step["env"].items()
        }
        runner = {
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "RUNNER_TEMP": str(tmp_path / "temp"),
            "PYTHONPATH": str(ROOT),
        }
        for name in ("output", "summary"):
            (tmp_path / name).write_text("", encoding="utf-8")
        script = tmp_path / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env=os.environ | runner | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        outputs = (tmp_path / "output").read_text(encoding="utf-8")
        found = dict(re.findall(r"^(\w+)<<(?P<end>\S+)\n", outputs, re.MULTILINE))
        values = {}
        for name, end in found.items():
            value = re.search(rf"^{name}<<{end}\n(.*?)\n{end}$", outputs, re.MULTILINE | re.DOTALL)
            assert value is not None, name
            values[name] = value[1]
        summary = (tmp_path / "summary").read_text(encoding="utf-8")
        return Done(done.returncode, done.stdout, done.stderr, values, summary)

    return run


def model(name: str = "model.pt", seed: int = 0) -> str:
    torch.manual_seed(seed)
    save(NALU(2, 3, 1), f"./{name}")
    return name


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
        assert spec["value"] == f"${{{{ steps.check.outputs.{name} }}}}"
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
    assert done.stdout.decode().splitlines() == [
        "-m", "pip", "install", "--quiet", "--constraint", "/the action/constraints.txt",
        "/the action[cpu,$(touch pwned)]",
    ]  # fmt: skip
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_any_name_is_exported_and_checked(name: str, act: Act, tmp_path: Path) -> None:
    done = act(model=model(name), args=FEW)
    assert (done.code, done.stderr) == (0, "")
    assert done.outputs["passed"] == "true"
    assert done.summary.startswith("### Parity: passed\n")
    assert "| onnxruntime-cpu |" in done.summary
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


def test_a_wrong_file_ends_the_job_with_its_summary(act: Act, wrong: dict[str, str]) -> None:
    done = act(**wrong, junit="out $HOME.xml", html="out.html", json="report.json")
    assert done.code == 1
    assert done.outputs["passed"] == "false"
    assert done.summary.startswith("### Parity: FAILED\n")
    assert "**FAILED**" in done.summary
    assert "FAILED: onnxruntime-cpu on inputs " in done.stdout
    names = [wrong["model"], wrong["artifact"], "out $HOME.xml", "out.html", "report.json", "report.worst.npz"]
    assert sorted(os.listdir()) == sorted(names)
    assert {name: done.outputs[name] for name in ("json", "junit", "html", "artifact")} == {
        "json": "report.json", "junit": "out $HOME.xml", "html": "out.html", "artifact": wrong["artifact"],
    }  # fmt: skip
    assert done.outputs["worst"] == "./report.worst.npz"


def test_a_wrong_file_is_an_output_where_asked(act: Act, wrong: dict[str, str]) -> None:
    done = act(**wrong, fail_on_parity="false")
    assert (done.code, done.outputs["passed"]) == (0, "false")
    assert done.summary.startswith("### Parity: FAILED\n")


@pytest.mark.parametrize(
    ("inputs", "code", "text"),
    [
        ({"model": "none.pt"}, 2, "none.pt: cannot be read"),
        ({"artifact": "none.onnx"}, 2, "none.onnx: cannot be read"),
        ({"format": "flatbuffer"}, 2, "'flatbuffer' is not one of "),
        ({"runtimes": "nothing"}, 2, "'nothing' is not one of "),
        ({"args": "--samples=0"}, 2, "0 is not in the range"),
        ({"args": "--samples 8"}, 2, "No such option"),
        ({"json": "model.pt"}, 2, "model.pt: is model.pt itself"),
        ({"runtimes": "tract"}, 3, "tract: tract is not installed"),
    ],
    ids=str,
)
def test_a_check_that_could_not_run_ends_the_job_whatever_is_asked(
    inputs: dict[str, str], code: int, text: str, act: Act, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if code == 3:
        (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['tract'] = None", encoding="utf-8")
        monkeypatch.setattr(sys.modules[__name__], "ROOT", f"{tmp_path}:{ROOT}")
    done = act(**({"model": model()} | inputs), fail_on_parity="false")
    assert done.code == code
    assert text in done.stderr
    assert text in done.summary
    assert done.summary.startswith(f"### Parity: not checked (exit code {code})\n")
    assert "passed" not in done.outputs


def test_an_old_report_is_not_taken_for_a_new_one(act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash has the exit code of a failed check; it must neither pass nor show what an earlier check found."""
    assert act(model=model(), args=FEW, json="r.json").code == 0
    crash = "import nalu_export.checking\nnalu_export.checking.check = None"
    (tmp_path / "sitecustomize.py").write_text(crash, encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", f"{tmp_path}:{ROOT}")
    done = act(model="model.pt", args=FEW, json="r.json", fail_on_parity="false")
    assert done.code == 1
    assert "not callable" in done.summary
    assert "passed" not in done.outputs


def test_several_runtimes_and_arguments(act: Act) -> None:
    done = act(model=model(), runtimes="  onnxruntime-cpu\n torch ", args=f"{FEW}\n--range\n1\n2\n")
    assert done.code == 0
    found = json.loads(Path(done.outputs["json"]).read_text(encoding="utf-8"))
    assert [runtime["name"] for runtime in found["runtimes"]] == ["onnxruntime-cpu", "torch"]
    assert "1..2" in {row["family"] for row in found["rows"]}


def test_torchscript(act: Act) -> None:
    done = act(model=model(), format="torchscript", args=FEW)
    assert done.code == 0
    assert "| torchscript |" in done.summary
