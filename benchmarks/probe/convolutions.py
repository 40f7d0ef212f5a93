"""3×3 convolutions by the way an algorithm is chosen: how far off, and whether three sessions agree to the bit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from benchmarks.cuda_setup import brief
from benchmarks.probe.context import Context
from benchmarks.probe.held import EAGER, FILE, Arrays, Held, share
from benchmarks.report import Section
from nalu_export import runtimes
from nalu_export.graph import ModelGraph, capture
from nalu_export.inputs.example import example_of_given, seeded
from nalu_export.primitives.precision import Profile
from nalu_export.runtimes.base import RunOptions

SEARCHES = ("HEURISTIC", "EXHAUSTIVE", "DEFAULT")
SESSIONS = 3
# The same without what the bound allows to an algorithm that transforms tiles: is one of them at work?
WITHOUT_TILES = {profile: replace(profile, tiles=False) for profile in (FILE, EAGER)}


@dataclass(frozen=True)
class Shape:
    """A convolution with padding 1 and the images that it is given."""

    channels: int
    filters: int
    side: int
    batch: int = 4

    def __str__(self) -> str:
        return f"{self.channels} → {self.filters}, {self.side}², batch {self.batch}"


# From the first layer of a CNN to a wide one: implicit products, Winograd's transforms and tensors of channels last.
SHAPES = {
    False: (Shape(3, 32, 32), Shape(16, 16, 16), Shape(64, 64, 32), Shape(256, 256, 14), Shape(64, 64, 32, 1)),
    True: (Shape(2, 3, 6, 2),),
}


def measure(context: Context) -> Iterator[Section]:
    """One table: each shape, each way to choose, each runtime."""
    rows: list[tuple[str, ...]] = []
    setup = context.setup
    with_onnx, with_torch = bool(context.running(setup.onnx[0])), bool(context.running(setup.eager))
    for shape in SHAPES[context.quick]:
        if context.late:
            context.skip(f"convolutions: {shape}")
            continue
        context.progress(f"convolutions: {shape}: reference")
        layer, graph, x = made(shape)
        held = Held(graph, x, [*WITHOUT_TILES, *WITHOUT_TILES.values()])
        data = file_of(layer)
        for search in SEARCHES if with_onnx else ():
            run = partial(_onnx, setup.onnx[0], graph, data, x, search)
            rows += _rows(context, shape, f"{setup.onnx[0]}, {search}", held, FILE, run)
        for benchmark in (False, True) if with_torch else ():
            run = partial(_torch, setup.eager, graph, x, benchmark)
            rows += _rows(context, shape, f"{setup.eager}, cudnn.benchmark={benchmark}", held, EAGER, run)
    yield Section(
        title=f"3×3 convolutions, {SESSIONS} sessions each",
        method=(
            "float32, TF32 off. Half of the samples are uniform in 0.5..10, half normal. Error over bound: largest of "
            "all sessions, of the bound of docs/parity.md, which allows for algorithms that transform tiles "
            "(Winograd); without tiles: of the bound that does not. Sessions: whether all give the same bits, else the "
            "share of numbers that differ from the first one's, and by how much. Runs: the same for "
            "three runs of one session."
        ),
        header=("convolution", "chosen by", "error / bound", "without tiles", "sessions", "runs"),
        rows=tuple(rows),
    )


def made(shape: Shape) -> tuple[nn.Conv2d, ModelGraph, NDArray[np.float32]]:
    """The layer, the same captured, and its images."""
    torch.manual_seed(0)
    layer = nn.Conv2d(shape.channels, shape.filters, 3, padding=1).eval().requires_grad_(False)
    graph = capture(layer, example_of_given(layer, seeded((shape.channels, shape.side, shape.side), layer)))
    rng = np.random.default_rng(0)
    size = (shape.batch, shape.channels, shape.side, shape.side)
    offset, normal = rng.uniform(0.5, 10.0, size), rng.normal(size=size)
    rows = np.arange(shape.batch).reshape(-1, 1, 1, 1) % 2
    return layer, graph, np.where(rows == 0, offset, normal).astype(np.float32)


def file_of(layer: nn.Conv2d) -> bytes:
    """The layer as ONNX; this package exports no model without arithmetic."""
    assert layer.bias is not None
    tensors = [numpy_helper.from_array(t.numpy(), name) for t, name in ((layer.weight, "w"), (layer.bias, "b"))]
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "h", "w"])
        for name, channels in (("x", layer.in_channels), ("y", layer.out_channels))
    ]
    graph = helper.make_graph([node], "g", values[:1], values[1:], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString()
    return data


def _onnx(name: str, graph: ModelGraph, data: bytes, x: NDArray[np.float32], search: str) -> list[Arrays]:
    """What one new session gives, run after run."""
    options = RunOptions(provider_options={"cudnn_conv_algo_search": search})
    session = runtimes.get(name).load(graph.called(graph.module), data, options)
    return [session.run([x]) for _ in range(SESSIONS)]


def _torch(name: str, graph: ModelGraph, x: NDArray[np.float32], benchmark: bool) -> list[Arrays]:
    session = runtimes.get(name).load(graph.called(graph.module), b"", RunOptions())
    with _benchmarking(benchmark):
        return [session.run([x]) for _ in range(SESSIONS)]


@contextmanager
def _benchmarking(on: bool) -> Iterator[None]:
    """Whether torch times cuDNN's algorithms for each new shape, for a while."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = on
    try:
        yield
    finally:
        cudnn.benchmark = before


def _rows(
    context: Context, shape: Shape, chosen: str, held: Held, profile: Profile, run: Callable[[], list[Arrays]]
) -> list[tuple[str, ...]]:
    if context.late:
        context.skip(f"convolutions: {shape}, {chosen}")
        return []
    context.progress(f"convolutions: {shape}, {chosen}")
    try:
        sessions = [run() for _ in range(SESSIONS)]
        each = [outs for runs in sessions for outs in runs]
        ratios = [max(held.ratio(outs, kind) for outs in each) for kind in (profile, WITHOUT_TILES[profile])]
        # The last run of each session: whatever was to be found out is.
        between = agreement([runs[-1] for runs in sessions])
        within = agreement(sessions[0])
    except Exception as error:  # noqa: BLE001  a failing item is a line of the table
        return [(str(shape), chosen, brief(error), "", "", "")]
    return [(str(shape), chosen, *map(share, ratios), between, within)]


def agreement(results: Sequence[Arrays]) -> str:
    """Whether results are the same to the bit."""
    first, *others = [np.concatenate([out.reshape(-1) for out in outs]) for outs in results]
    differing = max(float(np.mean(first.view(np.uint32) != other.view(np.uint32))) for other in others)
    if not differing:
        return "equal"
    off = max(float(np.abs(first - other).max()) for other in others)
    return f"{differing:.1%} differ, by up to {off:.2g}"
