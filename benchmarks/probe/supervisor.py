"""Starts workers and outlives them: one that crashes or hangs costs its part alone."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.probe.results import Results
from benchmarks.probe.worker import UNTIL

# Seconds that a worker may take to import everything and find its runtimes, and that a part may take beyond its share.
TO_START, GRACE, TO_DIE = 120.0, 20.0, 10.0
_TICK = 0.2

#: The command line of a worker for some parts that is to add its records to a file.
Command = Callable[[Sequence[str], Path], list[str]]


@dataclass
class Supervisor:
    """One run.

    Attributes:
        command: see above.
        results: what was found.
        seconds: the time of the run.
        on_change: called after each record: a run that is cut off leaves what it had.
        started: when the run began.
        to_start: see above.
        grace: see above.
    """

    command: Command
    results: Results
    seconds: float
    on_change: Callable[[], None] = lambda: None
    started: float = field(default_factory=perf_counter)
    to_start: float = TO_START
    grace: float = GRACE

    def run(self) -> None:
        """Run all parts; after a worker that did not get through, the rest in a new one."""
        results = self.results
        while results.to_do:
            before = len(results.to_do)
            self._worker()
            if results.nothing_runs:
                return
            if len(results.to_do) == before:  # it did not get as far as a part: no other one would
                for part in results.to_do:
                    results.fail(part, "the process ended, or was stopped, before it began")
            self.on_change()

    def _worker(self) -> None:
        """One worker, to its end."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "records"
            path.touch()
            # A session of its own, so that pytest and compilers that it starts end with it.
            process = subprocess.Popen(self.command(self.results.to_do, path), start_new_session=True)
            try:
                why = self._follow(process, path)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                # A process that waits for a device in the kernel may outlive that.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(TO_DIE)
        if part := self.results.under_way:
            self.results.fail(part, why)

    def _follow(self, process: subprocess.Popen[bytes], path: Path) -> str:
        """Read records until the worker ends, or has to be ended; why it did."""
        seen, begun = 0, perf_counter()
        while True:
            code = process.poll()
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            for line in lines[seen:]:
                self.results.read(json.loads(line))
                self.on_change()
            seen = len(lines)
            if code is not None:
                return f"the process ended with exit code {code}"
            part = self.results.under_way
            until = self.started + UNTIL[part] * self.seconds + self.grace if part else begun + self.to_start
            if perf_counter() > max(until, begun + self.grace):
                return f"stopped {perf_counter() - self.started:.0f} s after the start: it did not come back"
            sleep(_TICK)
