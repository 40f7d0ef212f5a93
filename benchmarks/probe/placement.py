"""Which files ONNX Runtime loads on the device, which nodes it leaves to the CPU, and what it folds at load."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np

from benchmarks.cuda_parity import Subject
from benchmarks.cuda_setup import OUT_OF_TIME, Setup, brief
from benchmarks.ort_sessions import recorded
from benchmarks.probe.context import Context
from benchmarks.probe.models import backbones, layers
from benchmarks.report import Section
from nalu_export import formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.formats.onnx.options import OnnxOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, WEIGHTS
from nalu_export.runtimes._ort_placement import Placed, elsewhere, folded
from nalu_export.runtimes.base import RunOptions

OPSETS = {False: (17, 20, 24), True: (20,)}
METHOD = (
    "Each file is loaded by the runtime of this package and run on three samples. CPU: nodes that the session says run "
    "on another provider, and how many; shapes alone may, a file with any other is refused. Folded at load: whether "
    "loading computed weights, which onnxruntime does with its CPU kernels, and the same without its ConstantFolding "
    "(`fold=False`); for the opset in the middle."
)


def measure(context: Context) -> Iterator[Section]:
    """One table for the backbones, one for the layers."""
    if not context.running(context.setup.onnx[0]):
        return
    for title, subjects in (
        ("Files that load: backbones with a free image size", backbones(quick=context.quick)),
        ("Files that load: layers", layers(quick=context.quick)),
    ):
        yield table(context, title, subjects)


def table(context: Context, title: str, subjects: Sequence[Subject]) -> Section:
    """A row for each model, form and type."""
    opsets = OPSETS[context.quick]
    rows = []
    for subject in subjects:
        context.progress(f"placement: {subject.name}")
        try:
            graph = subject.graph()
        except Exception as error:  # noqa: BLE001  a failing item is a line of the table
            rows.append((subject.name, "", "", *[f"not captured: {brief(error)}"] * len(opsets), ""))
            continue
        for weights, compute in product(WEIGHTS, COMPUTE):
            files = {opset: _file(context, subject, graph, EmitOptions(weights, compute), opset) for opset in opsets}
            cells = [verdict(context.setup, graph, data, subject.shape) for data in files.values()]
            at_load = "" if weights == "folded" else folding(context.setup, files[opsets[len(opsets) // 2]])
            rows.append((subject.name, weights, compute, *cells, at_load))
    header = ("model", "weights", "compute", *(f"opset {opset}" for opset in opsets), "folded at load")
    return Section(title, METHOD, header, tuple(rows))


def _file(context: Context, subject: Subject, graph: ModelGraph, options: EmitOptions, opset: int) -> bytes | str:
    """A file, or why there is none."""
    if context.late:
        context.skip(f"placement: {subject.name}, {options.weights}, {options.compute}, opset {opset}")
        return OUT_OF_TIME
    try:
        return formats.get("onnx").emit(graph, options, OnnxOptions(opset)).to_bytes({})
    except Exception as error:  # noqa: BLE001  a failing item is a cell of the table
        return f"no file: {brief(error)}"


def verdict(setup: Setup, graph: ModelGraph, data: bytes | str, shape: Sequence[int]) -> str:
    """Whether a file loads and runs, with the nodes on the CPU; else why it does not."""
    if isinstance(data, str):
        return data
    x = np.random.default_rng(0).uniform(0.5, 2.0, (3, *shape)).astype(np.float32)
    step = "refused"
    try:
        session = runtimes.get(setup.onnx[0]).load(graph.called(graph.module), data, RunOptions())
        step = "loads, does not run"
        session.run([x])
        said = "runs"
    except Exception as error:  # noqa: BLE001
        said = f"{step}: {brief(error)}"
    try:
        others = elsewhere(recorded(setup, data), setup.provider)
    except Exception as error:  # noqa: BLE001  said already, or a library that does not tell
        return said if said.startswith("refused") else f"{said}; CPU: not told ({brief(error)})"
    return f"{said}; CPU: {counted(others)}"


def counted(nodes: Iterable[Placed]) -> str:
    """``Shape ×2, Gather ×1``."""
    return ", ".join(f"{name} ×{count}" for name, count in Counter(node.operator for node in nodes).items()) or "none"


def folding(setup: Setup, data: bytes | str) -> str:
    """Whether loading a live file computed numbers of it; a folded one has nothing to fold."""
    if isinstance(data, str):
        return ""
    try:
        found = [folded(data, recorded(setup, data, fold=fold)) for fold in (True, False)]
    except Exception as error:  # noqa: BLE001
        return brief(error)
    return "{}; fold=False: {}".format(*("yes" if each else "no" for each in found))
