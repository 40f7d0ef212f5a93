"""Runs the benchmarks: ``python benchmarks/run.py [PART …] [--quick] [--write FILE]``; see ``PARTS``."""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    # In place of this folder: torch looks for a package `cuda` and would find benchmarks/cuda.py.
    sys.path[0] = str(ROOT)

from rich.console import Console  # noqa: E402

from benchmarks import machine  # noqa: E402
from benchmarks.report import Section, markdown, show  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"
PARTS = ("export-time", "sweep", "latency", "cpp", "fidelity", "bound", "faults")
WIDTH = 170


def main(argv: list[str] | None = None) -> None:
    """Parse, run, show, write."""
    arguments = parse(argv)
    parts = tuple(part for part in PARTS if part in arguments.parts) or PARTS
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, no_color=True)
    progress = Console(stderr=True)
    for name, value in machine.describe():
        console.print(f"{name}: {value}", markup=False)
    console.print()
    sections: list[Section] = []
    for part in parts:
        for title, benchmark in benchmarks_of(part):
            with progress.status(title):
                section = benchmark(quick=arguments.quick)
            show(section, console)
            sections.append(section)
    page = arguments.write or (PAGE if parts == PARTS and not arguments.quick else None)
    if page is not None:
        page.write_text(markdown(sections, preface(quick=arguments.quick)), encoding="utf-8")
        console.print(f"written: {page}", markup=False)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Measure this project against its peer, the default torch.onnx.export."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default all of them")
    parser.add_argument("--quick", action="store_true", help="few sizes and rounds: shows that everything runs")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the tables here; a full run writes docs/benchmarks.md"
    )
    arguments = parser.parse_args(argv)
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return arguments


def benchmarks_of(part: str) -> Iterator[tuple[str, Callable[..., Section]]]:
    """The benchmarks of a part; they import torch, so only those that are asked for."""
    if part == "export-time":
        from benchmarks import export_time

        yield "cold export", export_time.benchmark_cold
        yield "warm export", export_time.benchmark_warm
        yield "export of a CNN", export_time.benchmark_images
    elif part == "sweep":
        from benchmarks import sweep

        yield "sweep", sweep.benchmark
    elif part == "latency":
        from benchmarks import latency

        yield "latency", latency.benchmark
    elif part == "cpp":
        from benchmarks.cpp import building, floor
        from benchmarks.cpp import latency as cpp_latency

        with building.workshop() as shop:
            yield "C++ latency", partial(cpp_latency.benchmark, shop)
            yield "C++ floor", partial(floor.benchmark, shop)
    elif part == "bound":
        from benchmarks import bound

        yield "bound", bound.benchmark
    elif part == "faults":
        from benchmarks import faults_table

        yield "faults", faults_table.benchmark
    else:
        from benchmarks import epsilon, every_runtime, fidelity, long_sums, yardstick, zero_inputs

        yield "fidelity by range", fidelity.benchmark
        yield "fidelity by runtime", every_runtime.benchmark
        yield "fidelity by size", long_sums.benchmark
        yield "exact zeros", zero_inputs.benchmark
        yield "epsilon", epsilon.benchmark
        yield "modules written by hand", yardstick.benchmark


def preface(*, quick: bool) -> str:
    """The head of the page: what it is, and the machine."""
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.describe())
    caution = "\n\n**A quick run: too few rounds for figures to quote.**" if quick else ""
    return f"""# Benchmarks

Written by `make bench` (`python benchmarks/run.py`). The peer in every table, but those of C++, is what a user does
without this package: the default `torch.onnx.export(..., dynamo=True)` of the usual PyTorch NALU
(`benchmarks/usual_nalu.py`), measured in the same run. Targets are this project's own claims, marked with what became
of them in this run.{caution}

{facts}"""


if __name__ == "__main__":
    main()
