"""action.yml against what a stranger's checkout and files may hold: docs/ci.md says what holds."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from nalu_export import NAC, export
from tests.action.conftest import FEW, ROOT, Act, assert_harmless, model
from tests.action.runner import FILES, TOKENS, Done, commands, run_step

# What Python or pip might take from the working directory. A module leaves a file where it is run.
RUN = "open({place!r}, 'a').write(__name__)\n"
MODULES = [
    *("torch.py", "numpy.py", "json.py", "click.py", "sitecustomize.py", "usercustomize.py", "evil.pth"),
    *("nalu_export/__init__.py", "nalu_export/__main__.py", "pip/__init__.py", "pip/__main__.py", "src/torch.py"),
    "src/sitecustomize.py",
]
SETTINGS = {
    "pip.conf": "[global]\nindex-url = http://127.0.0.1:1/evil\n",
    "setup.cfg": "[global]\nindex-url = http://127.0.0.1:1/evil\n[install]\nprefix = evil\n",
    "pyproject.toml": "[build-system]\nrequires = ['evil']\nbuild-backend = 'evil'\nbackend-path = ['.']\n",
}
COMMANDS = [
    "::set-output name=passed::true",
    " \t\u2003::set-output name=passed::true",
    "ok\r::set-output name=passed::true",
    "ok\r\n\n::SET-OUTPUT name=passed::true",
    "##[set-output name=passed]true",
    "text ##[set-output name=passed]true text",
    "::add-mask::a",
    "::error file=a.py,line=1::wrong",
    "::stop-commands::token",
    "::save-state name=a::b",
    "::add-matcher::matcher.json",
    "##[group]a",
]
# No commands yet; they are once something is taken out of them.
NEARLY = [
    ":::set-output name=passed::::true",
    "####[[set-output name=passed]true",
    "##\x00[set-output name=passed]true",
    "#\x1b#[set-output name=passed]true",
    ":\x07:set-output name=passed:\x08:true",
]
LINES = COMMANDS + NEARLY


@pytest.fixture
def traps(workspace: Path, tmp_path: Path) -> Path:
    """A workspace full of modules; the path of the file that is there once one has run."""
    place = tmp_path / "pwned"
    for name in MODULES:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(RUN.format(place=str(place)), encoding="utf-8")
    for name, text in SETTINGS.items():
        Path(name).write_text(text, encoding="utf-8")
    return place


def install(action: dict[str, Any], folder: Path, python: str, **env: str) -> Done:
    """The first step of the action, which finds nothing to install."""
    step = dict(action["runs"]["steps"][0])
    step["env"] = step["env"] | {"ACTION": str(folder / "no action")}
    done = run_step(step, {"python": python, "extras": "cpu"}, folder, env)
    assert_harmless(done)
    return done


PATHS = [{}, {"PYTHONPATH": "."}, {"PYTHONPATH": ":src"}]


@pytest.mark.slow
@pytest.mark.parametrize("env", PATHS, ids=str)
def test_no_module_of_the_checkout_runs(env: dict[str, str], act: Act, traps: Path) -> None:
    done = act(env, model=model(), args=FEW, html="report.html")
    assert not traps.exists()
    assert (done.code, done.outputs["passed"]) == (0, "true")


@pytest.mark.parametrize("env", PATHS, ids=str)
def test_nor_while_the_action_is_installed(
    env: dict[str, str], action: dict[str, Any], python: Path, traps: Path, tmp_path: Path
) -> None:
    done = install(action, tmp_path, str(python), **env)
    assert not traps.exists()
    assert done.code == 1
    assert "Could not open requirements file" in done.stderr  # pip itself


def test_the_traps_work(python: Path, traps: Path) -> None:
    subprocess.run([python, "-m", "pip", "--version"], check=False)
    assert traps.exists()


@pytest.mark.slow
def test_the_users_own_code_is_run_where_it_is_named(act: Act) -> None:
    Path("net.py").write_text("from layers import made as build\n", encoding="utf-8")
    Path("layers.py").write_text("import nalu_export\ndef made(): return nalu_export.NAC(2, 1)\n", encoding="utf-8")
    made = NAC(2, 1)
    torch.save(made.state_dict(), "model.pt")
    export(made, "model.onnx", check=False)
    done = act(model="model.pt", artifact="model.onnx", args=f"{FEW}\n--model=net.py:build")
    assert (done.code, done.outputs["passed"], done.stderr) == (0, "true", "")


def stub(folder: Path, says: bytes, code: int = 0, script: str = "") -> str:
    """In place of Python: keeps its environment, says something on both streams, and leaves a report."""
    path = folder / "a python"
    (folder / "says").write_bytes(says)
    path.write_text(
        f"#!/bin/sh\nenv > '{folder}/environment'\n"
        f"cat '{folder}/says'; cat '{folder}/says' >&2\n"
        'for word in "$@"; do case "$word" in --json=*) echo x > "${word#--json=}";; esac; done\n'
        f'{script}\ncase "$*" in *testing.summary*) exit 0;; esac; exit {code}\n'
    )
    path.chmod(0o755)
    return str(path)


def test_the_lines_are_what_they_are_taken_for() -> None:
    assert all(commands(line) for line in COMMANDS)
    assert not any(commands(line) for line in NEARLY)


@pytest.mark.quick(36)
@pytest.mark.parametrize("code", [0, 1, 2, 3, 139])
@pytest.mark.parametrize("line", LINES)
def test_nothing_that_is_said_is_a_command(line: str, code: int, act: Act, tmp_path: Path) -> None:
    """Of the export, the check and its errors; ``act`` looks at what the runner finds."""
    done = act(
        python=stub(tmp_path, f"{line}\n".encode(), code), model="m.pt", json="r.json", artifact="a" * (code % 2)
    )
    assert done.code == code
    assert done.outputs["passed"] == ("true" if code == 0 else "false")
    assert "passed" in done.stderr or "set-output" not in line  # it is shown, only not obeyed


@pytest.mark.parametrize("line", LINES)
def test_nor_of_what_pip_says(line: str, action: dict[str, Any], workspace: Path, tmp_path: Path) -> None:
    done = install(action, tmp_path, stub(tmp_path, f"{line}\n".encode(), 7))
    assert done.code == 7
    assert done.stderr


def test_nor_of_what_is_no_python(action: dict[str, Any], act: Act, tmp_path: Path) -> None:
    """bash itself says its name."""
    for line in LINES:
        if "\x00" not in line:
            done = act(python=line, model="m.pt")
            assert (done.code, done.outputs) == (127, {"passed": "false"})
            assert install(action, tmp_path, line).code == 127


@pytest.mark.slow
@pytest.mark.parametrize("name", ["##[set-output name=passed]true", "::set-output name=passed::true", "a\r::error::b"])
def test_nor_of_names_of_files_and_keys(name: str, act: Act) -> None:
    torch.save({f"{name}.W_hat": torch.zeros(1, 2), name: torch.zeros(3)}, f"{name}.pt")
    for given in ({"model": f"{name}.pt"}, {"model": f"./{name}.pt", "artifact": f"{name}.onnx"}):
        done = act(**given, args=f"--layout={name}\n--prefix={name}")
        assert (done.code, done.outputs) == (2, {"passed": "false"})
        assert "true" in done.stderr or "error" in done.stderr


@pytest.mark.slow
def test_nor_of_what_the_users_code_says(act: Act) -> None:
    """Python of its own, with lines and bytes that the command line would not let through."""
    said = "\n".join(LINES)
    torch.save(NAC(2, 1).state_dict(), "model.pt")
    export(NAC(2, 1), "m.onnx", check=False)
    Path("net.py").write_text(
        f"import sys\nsaid = {said!r}\nprint(said)\nprint(said, file=sys.stderr)\ndef build(): raise OSError(said)\n",
        encoding="utf-8",
    )
    done = act(model="model.pt", args="--model=net.py:build", artifact="m.onnx")
    assert (done.code, done.outputs) == (2, {"passed": "false"})
    assert "set-output" in done.stdout
    assert "OSError" in done.stderr


def test_what_the_runner_reads_back_is_not_in_the_environment(action: dict[str, Any], act: Act, tmp_path: Path) -> None:
    python = stub(tmp_path, b"")
    for step in ("check", "install"):
        done = act(python=python, model="m.pt") if step == "check" else install(action, tmp_path, python)
        assert done.code == 0
        names = {line.partition("=")[0] for line in (tmp_path / "environment").read_text().splitlines()}
        assert not names & {*FILES, *TOKENS}
        assert "RUNNER_TEMP" in names


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("kill -9 $$", 137),
        ("kill -9 $PPID", -9),
        ("kill -TERM $PPID", -15),
        ("rm -f r.json", 2),
        ("rm -f r.json; exit 1", 1),
        ('case "$*" in *testing.summary*) ;; *) exit 1;; esac', 1),
        ('case "$*" in *testing.summary*) exit 1;; esac', 2),
    ],
)
@pytest.mark.parametrize("asked", ["true", "false"])
def test_passed_is_false_whatever_ends_the_check(script: str, code: int, asked: str, act: Act, tmp_path: Path) -> None:
    done = act(python=stub(tmp_path, b"", script=script), model="m", artifact="a", json="r.json", fail_on_parity=asked)
    assert done.outputs["passed"] == "false"
    assert done.code == (0 if code == 1 and "rm" not in script and asked == "false" else code)


def test_no_value_of_an_output_ends_it(act: Act, tmp_path: Path) -> None:
    python = stub(tmp_path, b"", 1)
    odd = "a\npassed<<E\ntrue\nE\npassed=true\n'\" $(touch pwned)\n"
    given = {"artifact": odd, "junit": "-x\n", "html": "EOF\r\n", "json": "./-r\n\n.json\n"}
    done = act(python=python, model="m.pt", fail_on_parity="false", **given)
    assert (done.code, done.outputs) == (0, given | {"passed": "false"})
    raw = (tmp_path / "github_output").read_text(encoding="utf-8")
    ends = re.findall(r"^(?:passed|artifact|json|junit|html)<<([0-9a-f]{32})$", raw, re.MULTILINE)
    assert len(set(ends)) == len(ends) == 5
    assert os.listdir() == ["-r\n\n.json\n"]


def test_the_summary_of_what_could_not_run_is_all_code(act: Act, tmp_path: Path) -> None:
    said = "a\r<img src=x>\r\n[b](http://c)\n\n\n# d @all\n```\n</code></pre><script>x</script>\x1b[0m\x0b\x0c<b>"
    done = act(python=stub(tmp_path, said.encode(), 2), model="m.pt")
    head, empty, *lines = re.split(r"\r\n|\r|\n", done.summary.removesuffix("\n"))
    assert (head, empty) == ("### Parity: not checked (exit code 2)", "")
    assert len(lines) == 9
    assert all(line.startswith("    ") for line in lines)


@pytest.mark.slow
def test_any_amount_of_text(act: Act, tmp_path: Path) -> None:
    """The runner takes no summary of more than 1 MiB, older ones no more than 128 KiB."""
    for text in (b":" * 3_000_000, b"\n" * 3_000_000, b"##[error]" * 300_000):
        done = act(python=stub(tmp_path, text, 2), model="m.pt")
        assert done.code == 2
        assert len(done.summary) < 128 * 1024
        assert len(done.stderr) < 3_000_000


def test_the_lines_of_the_docs_for_a_step_of_ones_own(workspace: Path) -> None:
    """The commands that they print stop others and let the runner go on; nothing between them is one."""
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (script,) = (found for found in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "stop-commands" in found)
    Path("python").write_text(f"#!/bin/sh\ncat '{workspace}/said'; cat '{workspace}/said' >&2; exit 1\n")
    Path("python").chmod(0o755)
    Path("said").write_bytes("\n".join(LINES).encode())
    path = f"{workspace}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-ec", script], env=os.environ | {"PATH": path}, capture_output=True, check=False)
    shown = done.stdout.decode()
    assert (done.returncode, done.stderr) == (1, b"")
    assert "set-output" in shown
    (stopped,) = commands(shown)
    assert stopped.startswith("stop-commands")
    assert commands(f"{shown}::error::x")[1:] == ["error ::x"]
