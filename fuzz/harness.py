"""Fuzzes one target in this process: ``python -m fuzz.harness TARGET FOLDER RUNS``.

FOLDER gets ``seeds/``, the file that is read in ``file/``, ``stats.json``, and what went wrong in ``found/``.
"""

import faulthandler
import json
import os
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["nalu_export"]):
    import nalu_export.api.artifact
    import nalu_export.api.inspect
    import nalu_export.checkpoints
    import nalu_export.io.files
    import nalu_export.io.input_files
    from fuzz.targets import TARGETS, Target
    from tests.hostile.consumers import CONSUMERS
    from tests.hostile.readers import READERS, read

# Each input was written a moment ago.
nalu_export.io.files.QUIET = 0.0
SECONDS = 5
MEGABYTES = 2048
LARGEST = 2**16


class Harness:
    """Gives every input to every reader of a target, and counts.

    Args:
        target: what is fuzzed.
        folder: where to put what is found.
        runs: how many inputs there will be, at least.
    """

    def __init__(self, target: Target, folder: Path, runs: int) -> None:
        self.target, self.folder, self.runs = target, folder, runs
        self.path = folder / "file" / target.file
        self.outcomes: Counter[str] = Counter()
        self.inputs = 0
        self.slowest = 0.0

    def __call__(self, data: bytes) -> None:
        """One input."""
        self.inputs += 1
        try:
            content = self.target.wrap(data)
        except (ValueError, TypeError, AttributeError):
            self.outcomes["no file"] += 1  # libFuzzer starts with inputs of its own, and they are no JSON
            self._count()
            return
        for name in self.target.readers:
            began = time.perf_counter()
            try:
                said = read(content, name, self.path)
            except BaseException:
                self._keep(content, name)
                raise
            self.slowest = max(self.slowest, time.perf_counter() - began)
            self.outcomes["refused" if said else "read"] += 1
        self._count()

    def mutated(self, data: bytes, largest: int, seed: int) -> bytes:
        """Another input: mostly as the target changes them, else as libFuzzer does."""
        rng = random.Random(seed)
        if rng.random() < 0.15:
            return bytes(atheris.Mutate(data, largest))
        try:
            return self.target.mutate(data, rng)[:largest]
        except ValueError:  # no JSON, after a change by libFuzzer
            return self.target.mutate(rng.choice(self.target.seeds()), rng)[:largest]

    def _keep(self, content: bytes, name: str) -> None:
        found = self.folder / "found"
        found.mkdir(exist_ok=True)
        (found / "file").write_bytes(content)
        (found / "report.txt").write_text(f"reader: {name}\n{traceback.format_exc()}", encoding="utf-8")

    def _count(self) -> None:
        """Write what was counted, as JSON, at the end and now and then: libFuzzer leaves without a word."""
        if self.inputs < self.runs - 10 and self.inputs % 1000:
            return
        found = {"inputs": self.inputs, "slowest": self.slowest, "outcomes": dict(self.outcomes)}
        (self.folder / "stats.json").write_text(json.dumps(found), encoding="utf-8")


def warm(harness: Harness) -> None:
    """Read every seed once: what readers import late is imported before anyone watches."""
    for data in harness.target.seeds():
        harness.path.write_bytes(harness.target.wrap(data))
        for name in harness.target.readers:
            try:
                (READERS.get(name) or CONSUMERS[name])(harness.path)
            except nalu_export.errors.NaluExportError:
                continue


def main() -> None:
    """Fuzz; libFuzzer ends the process."""
    faulthandler.enable()
    name, folder, runs = sys.argv[1], Path(sys.argv[2]).resolve(), int(sys.argv[3])
    harness = Harness(TARGETS[name], folder, runs)
    for inner in ("seeds", "file"):
        (folder / inner).mkdir()
    os.environ |= {"TERM": "xterm", "COLUMNS": "100000"}  # what is printed is one line
    os.chdir(folder / "file")  # what a file makes in the working directory is seen beside it
    for index, data in enumerate(harness.target.seeds()):
        (folder / "seeds" / str(index)).write_bytes(data)
    for inner, content in harness.target.beside().items():
        (folder / "file" / inner).write_bytes(content)
    warm(harness)
    options = [
        f"-runs={runs}",
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={LARGEST}",
        "-len_control=0",
        "-seed=1",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(folder / "seeds")], harness, custom_mutator=harness.mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
