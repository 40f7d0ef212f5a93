"""Fuzzes every target and shows what came of it: ``python -m fuzz.run [SCALE]``.

Exit code 1 where an input crashed, hung for 5 seconds, took 2 GiB, raised what is not documented, ran something or left
a file; that input is kept and named.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
# Each process has one thread that works.
AT_ONCE = 2
COLUMNS = ("target", "inputs", "readings", "read", "refused", "branches", "slowest", "peak", "time")
FORM = "{:<14}{:>9}{:>10}{:>9}{:>9}{:>9}{:>9}{:>8}{:>7}"


@dataclass(frozen=True)
class Result:
    """What came of one target.

    Attributes:
        target: its name.
        code: exit code of its process, 0 where nothing was found.
        log: what libFuzzer said.
        folder: with what was found.
        seconds: how long it took.
        stats: what the harness counted.
    """

    target: str
    code: int
    log: str
    folder: Path
    seconds: float
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        """How many were run, as libFuzzer counts them."""
        done = re.search(r"^Done (\d+) runs", self.log, re.MULTILINE)
        return int(done[1]) if done else 0

    def last(self, pattern: str) -> str:
        """What the log says last."""
        found = re.findall(pattern, self.log)
        return found[-1] if found else "?"

    def row(self) -> tuple[str, ...]:
        """For the table."""
        outcomes = self.stats.get("outcomes", {})
        taken, refused = outcomes.get("read", 0), outcomes.get("refused", 0)
        return (
            self.target,
            f"{self.inputs:,}",
            f"{taken + refused:,}",
            f"{taken:,}",
            f"{refused:,}",
            self.last(r"cov: (\d+)"),
            f"{1000 * self.stats.get('slowest', 0):.0f} ms",
            self.last(r"peak_rss_mb: +(\d+)") + " MB",
            f"{self.seconds:.0f} s",
        )


def fuzz(target: str, folder: Path, runs: int) -> Result:
    """Fuzz one target in a process of its own."""
    folder.mkdir()
    command = [sys.executable, "-m", "fuzz.harness", target, str(folder), str(runs)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    log = done.stderr.decode("utf-8", "replace") + done.stdout.decode("utf-8", "replace")
    stats = folder / "stats.json"
    counted = json.loads(stats.read_text(encoding="utf-8")) if stats.exists() else {}
    return Result(target, done.returncode, log, folder, time.monotonic() - began, counted)


def problem(result: Result, runs: int) -> str | None:
    """What is wrong with a result, ``None`` where all is well."""
    if result.code:
        report = result.folder / "found" / "report.txt"
        said = report.read_text(encoding="utf-8") if report.exists() else result.log[-3000:]
        return f"{result.target}: exit code {result.code}; what it was is in {result.folder}\n{said}"
    if result.inputs < runs:
        return f"{result.target}: {result.inputs} of {runs} inputs were run\n{result.log[-3000:]}"
    return None


def main(scale: float) -> int:
    """Fuzz all targets.

    Args:
        scale: times the usual number of inputs.
    """
    folder = Path(tempfile.mkdtemp(prefix="nalu-export-fuzz-"))
    runs = {name: max(1, int(scale * target.runs)) for name, target in TARGETS.items()}
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(fuzz, name, folder / name.replace(" ", "-"), count) for name, count in runs.items()]
        results = [job.result() for job in jobs]
    click.echo(FORM.format(*COLUMNS))
    for result in results:
        click.echo(FORM.format(*result.row()))
    total = sum(result.inputs for result in results)
    problems = [text for result in results if (text := problem(result, runs[result.target])) is not None]
    click.echo(f"{total:,} inputs in {time.monotonic() - began:.0f} s; {len(problems)} targets with a fault")
    for text in problems:
        click.echo(f"\n{text}", err=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
