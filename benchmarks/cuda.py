"""Parity and latency on a CUDA device: ``python benchmarks/cuda.py [--quick] [--write FILE] [--device-check-only]``.

Writes docs/cuda-parity.md. Exit code 0 where every target is reached, 1 where one is not, 3 without a CUDA device:
then nothing is written.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    # In place of this folder: its modules, this one above all, would hide others of their name (cuda-python's).
    sys.path[0] = str(ROOT)

from rich.console import Console  # noqa: E402

from benchmarks import cuda_fallback, cuda_latency, cuda_parity, cuda_setup, cuda_tf32  # noqa: E402
from benchmarks.cuda_setup import Setup, brief  # noqa: E402
from benchmarks.report import Section, Target, markdown, show  # noqa: E402
from nalu_export.errors import EXIT_OK, EXIT_PARITY_FAILED, EXIT_RUNTIME_MISSING  # noqa: E402

PAGE = ROOT / "docs" / "cuda-parity.md"
WIDTH = 220


def main(argv: list[str] | None = None, setup: Setup | None = None) -> int:
    """Look for the device, measure, show, write; the exit code.

    Args:
        argv: the command line.
        setup: what to run instead of the CUDA runtimes.
    """
    arguments = parse(argv)
    setup = setup or Setup()
    missing = cuda_setup.missing(setup.names)
    if len(missing) == len(setup.names):
        reasons = "; ".join(missing[name] for name in (setup.onnx[0], setup.eager))
        print(f"no CUDA runtime runs here, nothing is written: {reasons}", file=sys.stderr)
        return EXIT_RUNTIME_MISSING
    for name, value in cuda_setup.facts():
        print(f"{name}: {value}")
    for name in setup.names:
        print(f"{name}: {missing.get(name, 'runs')}")
    if arguments.device_check_only:
        return EXIT_OK
    sections = measure(setup, quick=arguments.quick)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, no_color=True)
    for section in sections:
        show(section, console)
    page = arguments.write or (None if arguments.quick else PAGE)
    if page is not None:
        page.write_text(markdown(sections, preface(sections, quick=arguments.quick)), encoding="utf-8")
        print(f"written: {page}")
    return EXIT_OK if all(target.reached for target in targets(sections)) else EXIT_PARITY_FAILED


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure parity and latency on a CUDA device.")
    parser.add_argument("--quick", action="store_true", help="few models, samples and rounds: shows that it all runs")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the tables here; a full run writes docs/cuda-parity.md"
    )
    parser.add_argument("--device-check-only", action="store_true", help="say what is there and stop")
    return parser.parse_args(argv)


def measure(setup: Setup, *, quick: bool) -> list[Section]:
    """All tables, in the order of the page; a part that breaks down as a whole is a table that says so."""

    def parity() -> list[Section]:
        found = cuda_parity.measure(setup, quick=quick)
        return cuda_parity.sections(found, setup, quick=quick)

    parts: dict[str, Callable[[], list[Section]]] = {
        "parity": parity,
        "TF32": lambda: [cuda_tf32.section(cuda_tf32.measure(setup, quick=quick), setup)],
        "fallback": lambda: [cuda_fallback.section(cuda_fallback.measure(setup))],
        "latency": lambda: [cuda_latency.section(cuda_latency.measure(setup, quick=quick), quick=quick)],
    }
    sections: list[Section] = []
    for title, part in parts.items():
        try:
            sections += part()
        except Exception as error:  # noqa: BLE001  the other parts are worth having
            failed = Target(f"{title} runs", reached=False)
            sections.append(Section(title, "It broke down.", ("error",), ((brief(error),),), (failed,)))
    setup.progress("done")
    return sections


def targets(sections: list[Section]) -> list[Target]:
    """Those of all tables."""
    return [target for section in sections for target in section.targets]


def preface(sections: list[Section], *, quick: bool) -> str:
    """The head of the page: what it is, the machine, and the targets."""
    facts = "\n".join(f"- {name}: {value}" for name, value in cuda_setup.facts())
    claims = "\n".join(f"- {target}" for target in targets(sections))
    caution = "\n\n**A quick run: too few models and rounds for figures to quote.**" if quick else ""
    return f"""# Parity and latency on CUDA

Written by `make cuda` (`python benchmarks/cuda.py`) on a machine with an NVIDIA GPU. What the check compares and when
it passes is in [parity.md](parity.md). Targets are this project's own claims, marked with what became of them in this
run.{caution}

{facts}

All targets:

{claims}"""


if __name__ == "__main__":
    sys.exit(main())
