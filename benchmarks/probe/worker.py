"""Runs parts one after the other in a process that may crash or hang, and writes down at once what they find."""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from benchmarks import cuda_setup
from benchmarks.cuda_setup import Setup, brief
from benchmarks.probe.context import Context, Part

#: The parts, in order, each with the share of the time at the end of which it is to be over: what a part leaves goes to
#: those after it. One module of this folder each.
UNTIL = {
    "placement": 0.22,
    "ulp": 0.32,
    "convolutions": 0.42,
    "tf32": 0.50,
    "torchscript": 0.56,
    "graphs": 0.64,
    "latency": 0.77,
    "suite": 0.97,
}


def part_of(name: str) -> Part:
    """The function that measures; its module is imported now, so that one that cannot be is a part that fails."""
    return cast("Part", importlib.import_module(f"benchmarks.probe.{name}").measure)


def work(parts: Sequence[str], setup: Setup, seconds: float, results: Path, *, quick: bool) -> int:
    """Run parts until one breaks down: an error of the device spoils every later call of its process.

    Args:
        parts: which.
        setup: what to run; its clock is that of the whole run.
        seconds: the time of the whole run.
        results: a file to which one line of JSON is added for all that happens.
        quick: few cases of each kind.

    Returns:
        0 where all ran, 1 where one broke down.
    """

    def write(**record: Any) -> None:
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    missing = cuda_setup.missing(setup.names)
    nothing_runs = len(missing) == len(setup.names)
    write(facts=cuda_setup.facts(), missing=missing, nothing_runs=nothing_runs)
    if nothing_runs:
        return 0
    for part in parts:
        context = Context(setup, quick, UNTIL[part] * seconds, missing)
        start = perf_counter()
        write(part=part, begins=True)
        try:
            for section in part_of(part)(context):
                write(part=part, section=asdict(section), skipped=context.skipped)
        except Exception as error:  # noqa: BLE001  whatever it is, the other parts are worth having
            write(part=part, failed=brief(error, 400), skipped=context.skipped)
            return 1
        write(part=part, ran=perf_counter() - start, skipped=context.skipped)
    return 0


def setup_from(data: Mapping[str, Any], elapsed: float) -> Setup:
    """What the supervisor wrote on the command line; the run began ``elapsed`` seconds ago."""
    given = {**data, "onnx": tuple(data["onnx"]), "started": perf_counter() - elapsed}
    return Setup(**given)
