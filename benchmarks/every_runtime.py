"""E of one trained NALU cell in every runtime that is installed, by input distribution."""

import numpy as np
import torch

from benchmarks import cells, subjects
from benchmarks.graphs import graph_of
from benchmarks.report import Section, Target, figure
from nalu_export import formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.parity import CheckOptions, CheckRequest, Row, check_bytes

SAMPLES = 1024


def measure(sizes: tuple[int, ...], seeds: int) -> dict[tuple[str, Compute], list[Row]]:
    """All rows of all runtimes but those on CUDA."""
    found: dict[tuple[str, Compute], list[Row]] = {}
    names = [name for name in runtimes.names() if "cuda" not in name]
    for size in sizes:
        for seed in range(seeds):
            cell = graph_of(subjects.our_cell(cells.saturated(np.random.default_rng(seed), size)))
            for weights in WEIGHTS:
                for compute in COMPUTE:
                    _add(found, cell, size, weights, compute, names)
    return found


def _add(
    found: dict[tuple[str, Compute], list[Row]],
    cell: ModelGraph,
    size: int,
    weights: Weights,
    compute: Compute,
    names: list[str],
) -> None:
    for name in (name for name in formats.names() if weights in formats.get(name).weights):
        data = formats.get(name).emit(cell, EmitOptions(weights, compute)).to_bytes({})
        fitting = [runtime for runtime in names if runtimes.get(runtime).format == name]
        if name == "onnx" and compute == "float32":
            fitting.append("torch")
        options = CheckOptions(samples=SAMPLES, search=0)
        report = check_bytes(CheckRequest(cell, data, [((size,),)], compute, fitting, options, skip_missing=True))
        for row in report.rows:
            found.setdefault((row.runtime, compute), []).append(row)


def benchmark(*, quick: bool) -> Section:
    """Largest E by runtime, the largest cells apart."""
    torch.set_num_threads(1)
    sizes, seeds = (cells.SIZES[:2], 1) if quick else (cells.SIZES, 4)
    small, large = measure(sizes[:-1], seeds), measure(sizes[-1:], seeds)
    rows, worst, header = [], {"float32": 0.0, "float64": 0.0}, 0.0
    for name, compute in sorted(small):
        most = [max(found[name, compute], key=lambda row: row.max_e) for found in (small, large)]
        worst[compute] = max(worst[compute], *(row.max_e for row in most))
        if (name, compute) == ("cpp", "float32"):
            header = max(row.max_e for row in most)
        passed = all(not row.failed for found in (small, large) for row in found[name, compute])
        figures = [f"{figure(row.max_e)} ({row.distribution})" for row in most]
        rows.append((f"{name}, {compute}", *figures, "passed" if passed else "FAILED"))
    return Section(
        title="Fidelity: E in every runtime",
        method=(
            f"One NALU cell with weights −1, 0 and 1 and a random gate, {', '.join(map(str, sizes))} inputs, "
            f"{cells.OUTPUTS} outputs, {seeds} draws, folded and live, {SAMPLES} samples of each distribution; the "
            "largest E, and its distribution. The gate is a dense sum over all inputs. E counts one rounding for a "
            "sum of any length, and in float32 every addition rounds, so E grows with the length where a runtime adds "
            "one term after the other; the C++ header adds by halves, and `--compute float64` avoids it anywhere."
        ),
        header=("runtime", f"E, up to {sizes[-2]} inputs", f"E, {sizes[-1]} inputs", "check"),
        rows=tuple(rows),
        targets=(
            Target("E ≤ 5 in float32", worst["float32"] <= 5.0),
            Target(f"E ≤ 5 in float32 in the C++ header ({figure(header)})", 0.0 < header <= 5.0),
            Target("E ≤ 1 in float64", worst["float64"] <= 1.0 + 1e-6),
            Target("every check passes", all(row[-1] == "passed" for row in rows)),
        ),
    )
