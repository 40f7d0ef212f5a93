"""What else gets what a stranger wrote: a run of a model, the progress line, the output of the GitHub action."""

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from nalu_export.cli.progress import stages
from nalu_export.graph import cost
from nalu_export.io.text import printable
from nalu_export.process.memory import allowing
from nalu_export.source.preparing import SourceOptions, prepared
from tests.action.runner import commands

ROOT = Path(__file__).resolve().parent.parent.parent
# Of a run in fuzzing, where every run has to be quick.
MEMORY, WORK = 2**21, 10**8
_END = "-- the end of an output --"


class LeakError(AssertionError):
    """Something of a stranger's text steers a terminal or the runner of the action."""


def run_model(path: Path) -> None:
    """Read a model and capture it, which runs it, with little that it may take."""
    with allowing(MEMORY), mock.patch.object(cost, "MAX_WORK", WORK):
        prepared(path, SourceOptions())


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _shown(text: str) -> str:
    terminal = _Terminal()
    with mock.patch.object(sys, "stderr", terminal), stages(quiet=False) as tell:
        tell(text, 1, 2)
    return terminal.getvalue()


# Colours may be any: where the text holds one, it does not stand there as the text that it has to be.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_OF_RICH = {"\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\r", "\n", "\x1b[1A"}
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|.)|[\x00-\x1f\x7f-\x9f]", re.DOTALL)


def progress_line(path: Path) -> None:
    """Show a text in the progress line; what steers the terminal is what rich writes for any text.

    With TERM and COLUMNS set to a terminal that is wide enough.
    """
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    shown = _shown(text)
    foreign = set(_SEQUENCE.findall(_COLOUR.sub("", shown))) - _OF_RICH
    plain = _SEQUENCE.sub("", shown)
    if foreign or not plain.isprintable() or printable(text).strip() not in plain:
        raise LeakError(f"{sorted(foreign)} in {shown[-300:]!r}")


class _Action:
    """The function of action.yml that everything it shows goes through, in one bash."""

    def __init__(self) -> None:
        text = (ROOT / "action.yml").read_text(encoding="utf-8")
        (body,) = set(re.findall(r"harmless\(\) \{.*?\n +\}\n", text, re.DOTALL))
        script = f"{body}\nwhile IFS= read -r file; do harmless \"$file\" 1000000; printf '\\n{_END}\\n'; done"
        self._bash = subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, path: Path) -> str:
        """What it makes of a file."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{path}\n".encode())
        self._bash.stdin.flush()
        found = b""
        while not found.endswith(f"\n{_END}\n".encode()):
            line = self._bash.stdout.readline()
            assert line, "bash is gone"
            found += line
        return found.decode("utf-8", "replace").removesuffix(f"\n{_END}\n")

    def close(self) -> None:
        """End it."""
        self._bash.communicate()


_started: list[_Action] = []


def action_output(path: Path) -> None:
    """Show a text as the action does; nothing in it is a command to the runner, or nearly one."""
    if not _started:
        _started.append(_Action())
    shown = _started[0](path.absolute())
    controls = re.findall(r"[\x00-\x08\x0b-\x1f\x7f]", shown)
    if commands(shown) or "::" in shown or "##[" in shown or controls:
        raise LeakError(f"{commands(shown)} {controls[:3]} in {shown[:300]!r}")


CONSUMERS: dict[str, Callable[[Path], object]] = {
    "run": run_model,
    "progress line": progress_line,
    "action output": action_output,
}
