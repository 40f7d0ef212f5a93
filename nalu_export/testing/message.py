"""The text of a failed assertion: a few lines that say what is wrong where."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nalu_export.io.figures import exact, figure
from nalu_export.io.text import printable
from nalu_export.parity import Report
from nalu_export.parity.report import Row, Worst, titled

# Number of failed input distributions that are described; more would add little. The whole table is in the section
# "parity" of pytest's output and in the reports of `nalu-export check`.
DISTRIBUTIONS = 3
# Number of values of an input that are shown.
VALUES = 8
MISSING_FILE = "pass save_to=FOLDER (the fixture `parity` does) to keep the worst inputs, then run replay=FILE"


@dataclass(frozen=True)
class Files:
    """The files with which the check can be run again.

    Attributes:
        model: path of the model; ``None`` for a module in memory.
        artifact: path of the exported file; ``None`` if it was only in memory.
        worst: path of the worst inputs; ``None`` if they were not written.
    """

    model: Path | None
    artifact: Path | None
    worst: Path | None


def message(report: Report, files: Files) -> str:
    """Return the text: the runtimes that failed, each with its worst inputs and its first divergence."""
    subject = report.subject
    failed = [runtime.name for runtime in report.runtimes if _failed(report, runtime.name)]
    lines = [
        f"{', '.join(failed)}: does not compute what the model computes" if failed else report.nothing_compared(),
        f"  model {subject['model']}, file {subject['artifact']}",
        f"  {subject['format']}, {subject['weights']} weights, {subject['compute']}; seed {report.seed}; allowed: "
        + ("the bound of a correct evaluation" if report.criterion == "bound" else report.criterion),
    ]
    for name in failed:
        lines += _runtime(report, name)
    lines += ["", *_replay(failed, files)]
    return "\n".join(printable(line) for line in lines)


def _failed(report: Report, runtime: str) -> list[Row]:
    """Return the failed rows of one runtime, the worst first, in the order of :attr:`Row.gravity`."""
    rows = [row for row in report.decisive if row.runtime == runtime and row.failed]
    return sorted(rows, key=lambda row: row.gravity, reverse=True)


def _runtime(report: Report, name: str) -> list[str]:
    rows = _failed(report, name)
    count = sum(row.runtime == name for row in report.rows)
    lines = ["", f"{name}: {len(rows)} of {count} rows failed"]
    lines += [f"  {titled(row.distribution)}: {row.wrong(report.criterion)}" for row in rows[:DISTRIBUTIONS]]
    if len(rows) > DISTRIBUTIONS:
        lines.append(f"  and {', '.join(row.distribution for row in rows[DISTRIBUTIONS:])}")
    lines += [f"  {found}" for found in report.divergences if found.runtime == name and str(found)]
    for worst in report.worst:
        if worst.runtime == name:
            lines += _worst(worst)
    return lines


def _worst(worst: Worst) -> list[str]:
    """Return lines with the worst input and its worst output."""
    with np.errstate(all="ignore"):
        error = np.abs(worst.out.astype(np.float64) - worst.reference) / worst.bound
    flat = np.where(np.isnan(error), np.where(np.isnan(worst.out), np.inf, 0.0), error).ravel()
    index = int(flat.argmax()) if flat.size else 0
    place = ", ".join(str(axis) for axis in np.unravel_index(index, worst.out.shape))
    out, by_torch = worst.out.ravel()[index], worst.torch.ravel()[index]
    reference, bound = float(worst.reference.ravel()[index]), float(worst.bound.ravel()[index])
    only_one = len(worst.inputs) == 1
    shown = [f"{'' if only_one else f'{name} '}{_shortened(x)}" for name, x in worst.inputs.items()]
    return [
        f"  worst input ({worst.distribution}): {', '.join(shown)}",
        f"    {worst.output}[{place}] is {exact(out)}, expected {figure(reference, 9)} ± {figure(bound, 2)}; "
        f"PyTorch gives {exact(by_torch)}",
    ]


def _shortened(x: NDArray[np.generic]) -> str:
    """Return an array as a text: all values, or the first ones with the shape, the minimum and the maximum."""
    shown = ", ".join(exact(value) for value in x.ravel()[:VALUES])
    if x.size <= VALUES:
        return f"[{shown}]"
    shape = "×".join(str(size) for size in x.shape)
    return f"[{shown}, …] {shape} values from {exact(x.min())} to {exact(x.max())}"


def _replay(runtimes: list[str], files: Files) -> list[str]:
    if files.worst is None:
        return [f"replay: {MISSING_FILE}"]
    if files.model is not None and files.artifact is not None:
        chosen = [word for name in runtimes for word in ("--runtime", name)]
        command = ["nalu-export", "check", str(files.model), str(files.artifact), *chosen]
        return [f"replay: {shlex.join([*command, '--replay', str(files.worst)])}"]
    names = runtimes[0] if len(runtimes) == 1 else runtimes
    given = "artifact" if files.artifact is None else repr(str(files.artifact))
    return [f"replay: assert_parity(model, {given}, {names!r}, replay={str(files.worst)!r})"]
