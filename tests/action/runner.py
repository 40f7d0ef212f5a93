"""A step of action.yml run as GitHub's runner runs it, and what the runner would make of what it leaves.

The rules are those of https://github.com/actions/runner: src/Runner.Common/ActionCommand.cs (which text is a command),
src/Runner.Worker/ActionCommandManager.cs (which commands there are, and how they are stopped) and FileCommandManager.cs
(the files of outputs).
"""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMANDS = frozenset(
    [
        *("set-env", "set-output", "save-state", "add-path", "add-mask", "add-matcher", "remove-matcher"),
        *("warning", "error", "notice", "debug", "group", "endgroup", "echo", "stop-commands"),
    ]
)
# What only the runner and the shell of a step may know.
FILES = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


@dataclass(frozen=True)
class Done:
    """What a step leaves.

    Attributes:
        code: exit code of the shell.
        stdout: what it printed.
        stderr: the same.
        outputs: of the step, as the runner reads them.
        summary: Markdown for the page of the job.
        commands: workflow commands that the runner found in what was printed.
    """

    code: int
    stdout: str
    stderr: str
    outputs: dict[str, str]
    summary: str
    commands: list[str]


def run_step(step: Mapping[str, Any], inputs: Mapping[str, str], folder: Path, env: Mapping[str, str]) -> Done:
    """Run it in the working directory, with files of the runner in ``folder``."""
    values = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], text)
        for name, text in step["env"].items()
    }
    (folder / "temp").mkdir(exist_ok=True)
    runner = {name: str(folder / name.lower()) for name in FILES} | dict.fromkeys(TOKENS, "a secret")
    for name in FILES:
        Path(runner[name]).write_bytes(b"")
    script = folder / "step.sh"
    script.write_text(step["run"], encoding="utf-8")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        env={**os.environ, "RUNNER_TEMP": str(folder / "temp"), **runner, **env, **values},
        capture_output=True,
        check=False,
    )
    stdout, stderr = (data.decode("utf-8", "replace") for data in (done.stdout, done.stderr))
    for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"):
        assert not Path(runner[name]).read_bytes(), name
    return Done(
        done.returncode,
        stdout,
        stderr,
        outputs(Path(runner["GITHUB_OUTPUT"]).read_bytes().decode()),
        Path(runner["GITHUB_STEP_SUMMARY"]).read_bytes().decode(),
        [*commands(stdout), *commands(stderr)],
    )


def outputs(text: str) -> dict[str, str]:
    """Names and values of a file of outputs; the last value of a name counts.

    Raises:
        ValueError: the runner would refuse the file.
    """
    lines, found = iter(text.split("\n")), {}
    for line in lines:
        plain, several = line.find("="), line.find("<<")
        if not line:
            continue
        if plain >= 0 and (several < 0 or plain < several):
            found[line[:plain]] = line[plain + 1 :]
        elif several >= 0:
            name, delimiter, value = line[:several], line[several + 2 :], []
            for inner in lines:
                if inner == delimiter:
                    break
                value.append(inner)
            else:
                raise ValueError(f"no end of {name}")
            found[name] = "\n".join(value)
        else:
            raise ValueError(f"no output: {line}")
    return found


def commands(text: str) -> list[str]:
    """The commands that are obeyed, as NAME and what follows; .NET ends a line at CR, LF or both."""
    found, known, stopped = [], set(COMMANDS), ""
    for line in re.split(r"\r\n|\r|\n", text):
        name, rest = _command(line, known)
        if not name:
            continue
        if stopped:
            if name == stopped:
                known.remove(stopped)
                stopped = ""
            continue
        found.append(f"{name} {rest}")
        if name == "stop-commands":
            stopped = rest.removeprefix("::").removeprefix("]").lower()
            known.add(stopped)
    return found


def _command(line: str, known: Iterable[str]) -> tuple[str, str]:
    """``::NAME …::DATA`` after white space, or ``##[NAME …]DATA`` anywhere."""
    for pattern in (r"\s*::(.*?)(::.*)", r".*?##\[(.*?)(\].*)"):
        match = re.fullmatch(pattern, line, re.DOTALL)
        if match:
            name, _, properties = match[1].partition(" ")
            if name.lower() in known:
                return name.lower(), properties + match[2]
    return "", ""
