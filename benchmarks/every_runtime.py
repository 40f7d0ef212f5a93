"""E of one trained NALU cell in every runtime that is installed, by family of inputs."""

import torch

from benchmarks.report import Section, Target, figure
from nalu_export import NALUCell, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.parity import CheckOptions, Row, check_bytes
from nalu_export.weights import COMPUTE, WEIGHTS, Compute, Weights

SIZES = (2, 16, 64, 256)
OUTPUTS = 8
SAMPLES = 1024
# The inputs of the project's figure; the other families hold sums of many terms of one size after a large one.
UNIFORM = ("0.1..1", "1..10", "1e3..1e4", "1..1e7", "-10..10", "zeros", "ones")


def trained(inputs: int, seed: int) -> NALUCell:
    """A cell whose effective weights are −1, 0 and 1, mostly 0."""
    torch.manual_seed(seed)
    cell = NALUCell(inputs, OUTPUTS)
    with torch.no_grad():
        used = torch.rand(cell.W_hat.shape) < 4.0 / inputs
        cell.W_hat.copy_(torch.randint(-1, 2, cell.W_hat.shape) * used * 20.0)
        cell.M_hat.fill_(20.0)
    return cell


def measure(sizes: tuple[int, ...], seeds: int) -> dict[tuple[str, Compute], list[Row]]:
    """All rows of all runtimes but those on CUDA."""
    found: dict[tuple[str, Compute], list[Row]] = {}
    names = [name for name in runtimes.names() if "cuda" not in name]
    for size in sizes:
        for seed in range(seeds):
            cell = trained(size, seed)
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
    found = measure(SIZES[:2] if quick else SIZES, 1 if quick else 4)
    rows, worst = [], {"float32": 0.0, "float64": 0.0}
    for (name, compute), seen in sorted(found.items()):
        uniform = max(row.max_e for row in seen if row.family in UNIFORM)
        other = max((row for row in seen if row.family not in UNIFORM), key=lambda row: row.max_e)
        worst[compute] = max(worst[compute], uniform, other.max_e if compute == "float64" else 0.0)
        verdict = "passed" if all(row.passed for row in seen) else "FAILED"
        rows.append((f"{name}, {compute}", figure(uniform), figure(other.max_e), other.family, verdict))
    return Section(
        title="Fidelity: E in every runtime",
        method=(
            f"One NALU cell with weights −1, 0 and 1 and a random gate, {', '.join(map(str, SIZES))} inputs, {OUTPUTS} "
            f"outputs, 4 draws, folded and live, {SAMPLES} samples of each family. First the uniform ranges, zeros and "
            "ones, then the worst of the other families: there a float32 sum over the gate's weights adds many terms "
            "of one size to a large one, and each addition rounds, in every runtime; float64 does not."
        ),
        header=("runtime", "E, ranges, zeros, ones", "E, other families", "worst of those", "check"),
        rows=tuple(rows),
        targets=(
            Target("E ≤ 5 in float32 on ranges, zeros and ones", worst["float32"] <= 5.0),
            Target("E ≤ 1 in float64 on all families", worst["float64"] <= 1.0 + 1e-6),
            Target("every check passes", all(row.passed for seen in found.values() for row in seen)),
        ),
    )
