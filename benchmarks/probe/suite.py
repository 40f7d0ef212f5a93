"""``pytest -m cuda``, as far as it gets, with the slowest twenty tests."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.probe.context import Context
from benchmarks.report import Section

ROOT = Path(__file__).resolve().parents[2]
SLOWEST = 20
# tests/conftest.py imports it; whatever else is not there fails or skips the tests that need it.
NEEDED = ("pytest", "hypothesis")
# Before the end of the share pytest is asked to stop, so that it can still say what it has.
TO_STOP = 15.0
QUICK = ["-k", "it_says_which_device"]
_DURATION = re.compile(r"^\s*([\d.]+)s (call|setup|teardown) +(\S.*)$")
_OUTCOME = re.compile(r"^(FAILED|ERROR|SKIPPED) (.+)$")


def measure(context: Context) -> Iterator[Section]:
    """What pytest said at its end, and the slowest tests."""
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        context.skip("pytest -m cuda", f"{' and '.join(lacking)} not installed")
        return
    left = context.until - TO_STOP - (perf_counter() - context.setup.started)
    if left <= 0:
        context.skip("pytest -m cuda")
        return
    context.progress(f"pytest -m cuda, for {left:.0f} s at most")
    command = [sys.executable, "-m", "pytest", *options(), *(QUICK if context.quick else []), *map(str, files())]
    output, stopped = run(command, left)
    if stopped:
        context.skip("pytest -m cuda: the tests after the last one below", f"stopped after {left:.0f} s")
    yield from tables(output)


def files() -> list[Path]:
    """The test files that have such tests: to import all others takes longer than to run these."""
    return [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.cuda" in path.read_text("utf-8")]


def options() -> list[str]:
    """Of pytest: no file but the output is written."""
    return [
        *("-m", "cuda", "-v", "-rfEs", "--tb=short", f"--durations={SLOWEST}", "--durations-min=0.005"),
        *("-p", "no:cacheprovider", "--continue-on-collection-errors"),
    ]


def run(command: list[str], seconds: float) -> tuple[str, bool]:
    """A command's output, and whether it had to be stopped; first by what Ctrl-C sends, then for good."""
    # Columns: pytest cuts its summary off at the width of the terminal.
    environment = {**os.environ, "COLUMNS": "240", "ORT_DISABLE_TELEMETRY": "1"}
    stopped = False
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A job in the background of a shell is started with SIGINT ignored, and so is what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            stopped = True
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TO_STOP / 2)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        return output.read(), stopped


def tables(output: str) -> Iterator[Section]:
    """What of pytest's output is worth keeping."""
    lines = output.splitlines()
    outcomes = [match.groups() for line in lines if (match := _OUTCOME.match(line))]
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    yield Section(
        title="pytest -m cuda",
        method=f"The tests of {', '.join(str(path.relative_to(ROOT)) for path in files())}. {last.strip(' =')}",
        header=("outcome", "test and reason"),
        rows=tuple(outcomes),
    )
    durations = [match.groups() for line in lines if (match := _DURATION.match(line))]
    yield Section(
        title=f"pytest -m cuda: the slowest {SLOWEST}",
        method="Seconds, as pytest has them.",
        header=("test", "step", "s"),
        rows=tuple((test, step, seconds) for seconds, step, test in durations),
    )
    if failures := _failures(lines):
        rows = tuple((str(number), line) for number, line in enumerate(failures, 1))
        yield Section("pytest -m cuda: failures", "As pytest prints them.", ("line", "text"), rows)


def _failures(lines: list[str]) -> list[str]:
    """What pytest prints between its heads for errors or failures and the next part, at most 400 lines."""
    starts = [n for n, line in enumerate(lines) if re.match(r"=+ (ERRORS|FAILURES) =+$", line)]
    if not starts:
        return []
    ends = [n for n, line in enumerate(lines) if n > starts[0] and re.match(r"=+ (slowest|short test)", line)]
    return [line for line in lines[starts[0] : ends[0] if ends else None] if line.strip()][:400]
