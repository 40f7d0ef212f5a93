"""What one CUDA device does, asked once: ``python benchmarks/cuda_probe.py [--seconds N] [--write FILE]``.

Installs nothing, needs no network and writes one file, after each step what there is. Exit code 0 where all parts ran,
1 where one broke down, 3 without a CUDA runtime: then nothing is written.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    # In place of this folder: its modules would hide others of their name (cuda-python's).
    sys.path[0] = str(ROOT)

from benchmarks.cuda_setup import Setup  # noqa: E402
from benchmarks.probe.results import Results  # noqa: E402
from benchmarks.probe.supervisor import Supervisor  # noqa: E402
from benchmarks.probe.worker import UNTIL, setup_from, work  # noqa: E402
from nalu_export.errors import EXIT_OK, EXIT_PARITY_FAILED, EXIT_RUNTIME_MISSING  # noqa: E402

PAGE = Path("cuda-probe.md")
SECONDS = 540.0


def main(argv: Sequence[str] | None = None, setup: Setup | None = None) -> int:
    """Run all parts in processes of their own, or be one of these; the exit code.

    Args:
        argv: the command line.
        setup: what to run instead of the CUDA runtimes.
    """
    arguments = parse(argv)
    if arguments.worker:
        setup = setup_from(json.loads(arguments.worker), arguments.elapsed)
        return work(arguments.parts, setup, arguments.seconds, arguments.write, quick=arguments.quick)
    setup = setup or Setup()
    results = Results(arguments.parts)

    def command(parts: Sequence[str], records: Path) -> list[str]:
        options = ["--seconds", str(arguments.seconds), "--write", str(records), "--parts", *parts]
        options += ["--worker", json.dumps(asdict(setup)), "--elapsed", str(perf_counter() - setup.started)]
        return [sys.executable, str(Path(__file__).resolve()), *options, *(["--quick"] if arguments.quick else [])]

    def write() -> None:
        if results.state:
            arguments.write.write_text(results.page(), encoding="utf-8")

    Supervisor(command, results, arguments.seconds, write, setup.started).run()
    return report(results, setup, arguments.write)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Record what a CUDA device does, for the maintainers.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="when to stop; default %(default)s")
    parser.add_argument("--write", type=Path, default=PAGE, metavar="FILE", help="default %(default)s")
    parser.add_argument("--parts", nargs="+", choices=tuple(UNTIL), default=list(UNTIL), help="by default all")
    parser.add_argument("--quick", action="store_true", help="few cases of each kind: shows that it all runs")
    parser.add_argument("--worker", metavar="SETUP", help=argparse.SUPPRESS)
    parser.add_argument("--elapsed", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def report(results: Results, setup: Setup, page: Path) -> int:
    """Say what became of it; the exit code."""
    if results.nothing_runs:
        reasons = "; ".join(results.missing[name] for name in (setup.onnx[0], setup.eager))
        print(f"no CUDA runtime runs here, nothing is written: {reasons}", file=sys.stderr)
        return EXIT_RUNTIME_MISSING
    for part in results.parts:
        print(f"{part}: {results.state[part]}")
    for line in results.skipped:
        print(f"skipped: {line}")
    print(f"written: {page}")
    return EXIT_PARITY_FAILED if results.failed else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
