"""E of one trained NALU cell in every runtime that is installed, by family of inputs."""

import numpy as np
import torch

from benchmarks import cells, subjects
from benchmarks.report import Section, Target, figure
from nalu_export import NALUCell, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.parity import CheckOptions, Row, check_bytes
from nalu_export.weights import COMPUTE, WEIGHTS, Compute, Weights

SAMPLES = 1024
# One large term and many of one size after it: each addition of such a sum rounds.
LONG_SUMS = "one feature"


def measure(sizes: tuple[int, ...], seeds: int) -> dict[tuple[str, Compute], list[Row]]:
    """All rows of all runtimes but those on CUDA."""
    found: dict[tuple[str, Compute], list[Row]] = {}
    names = [name for name in runtimes.names() if "cuda" not in name]
    for size in sizes:
        for seed in range(seeds):
            cell = subjects.our_cell(cells.saturated(np.random.default_rng(seed), size))
            for weights in WEIGHTS:
                for compute in COMPUTE:
                    _add(found, cell, size, weights, compute, names)
    return found


def _add(
    found: dict[tuple[str, Compute], list[Row]],
    cell: NALUCell,
    size: int,
    weights: Weights,
    compute: Compute,
    names: list[str],
) -> None:
    for name in formats.names():
        data = formats.get(name).emit(cell, EmitOptions((size,), weights, compute)).to_bytes({})
        fitting = [runtime for runtime in names if runtimes.get(runtime).format == name]
        if name == "onnx" and compute == "float32":
            fitting.append("torch")
        options = CheckOptions(samples=SAMPLES, search=0)
        report = check_bytes(cell, data, [(size,)], compute, fitting, options, skip_missing=True)
        for row in report.rows:
            found.setdefault((row.runtime, compute), []).append(row)


def benchmark(*, quick: bool) -> Section:
    """Largest E by runtime."""
    torch.set_num_threads(1)
    found = measure(cells.SIZES[:2] if quick else cells.SIZES, 1 if quick else 4)
    rows, worst = [], {"float32": 0.0, "float64": 0.0}
    for (name, compute), seen in sorted(found.items()):
        most = max((row for row in seen if row.family != LONG_SUMS), key=lambda row: row.max_e)
        long_sums = max(row.max_e for row in seen if row.family == LONG_SUMS)
        worst[compute] = max(worst[compute], most.max_e, long_sums if compute == "float64" else 0.0)
        verdict = "passed" if all(row.passed for row in seen) else "FAILED"
        rows.append((f"{name}, {compute}", figure(most.max_e), most.family, figure(long_sums), verdict))
    return Section(
        title="Fidelity: E in every runtime",
        method=(
            f"One NALU cell with weights −1, 0 and 1 and a random gate, {', '.join(map(str, cells.SIZES))} inputs, "
            f"{cells.OUTPUTS} outputs, 4 draws, folded and live, {SAMPLES} samples of each family. All families but "
            f"one first. In `{LONG_SUMS}` half of the samples have one large input and are 1 otherwise, so that the "
            "float32 sum over the gate's weights adds up to 255 terms of one size to a large one. Each addition "
            "rounds, in every runtime; `--compute float64` avoids it."
        ),
        header=("runtime", "E, all families but one", "worst of them", f"E, {LONG_SUMS}", "check"),
        rows=tuple(rows),
        targets=(
            Target("E ≤ 5 in float32 on all families but one", worst["float32"] <= 5.0),
            Target("E ≤ 1 in float64 on all families", worst["float64"] <= 1.0 + 1e-6),
            Target("every check passes", all(row.passed for seen in found.values() for row in seen)),
        ),
    )
