"""How long one run takes on a CUDA device: ONNX Runtime in three ways, eager PyTorch, ``torch.compile``."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.cuda_parity import Subject, cnn
from benchmarks.cuda_setup import OUT_OF_TIME, Setup, brief
from benchmarks.graphs import folded_module
from benchmarks.ort_sessions import whole
from benchmarks.report import Section, figure
from benchmarks.silence import silence
from benchmarks.timing import Timing, calls_within, interleave
from nalu_export import NALU, formats
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import WEIGHTS, Weights
from nalu_export.runtimes._tf32 import tf32

Array = NDArray[np.float32]

HEADS = ((2, 1), (16, 32, 1), (64, 64, 10), (256, 256, 256))
BATCHES = {False: (1, 64, 1024, 16384), True: (1, 64)}
TURN = {False: 0.004, True: 0.001}
ROUNDS = {False: 20, True: 3}
# Seconds after the start of the run: after the first nothing is compiled any more, after the second nothing is timed.
COMPILE_UNTIL, UNTIL = 415.0, 440.0

EAGER = "eager"
COMPILED = {"compile": "default", "compile, reduce-overhead": "reduce-overhead"}
CALL, BINDING, GRAPH = "ORT call", "ORT I/O binding", "ORT CUDA graph"
COLUMNS = (EAGER, *COMPILED, CALL, BINDING, GRAPH)
HOST, DEVICE = "host", "device"
NOT_COMPILED = "not run: a quick run compiles nothing"


@dataclass(frozen=True)
class Plan:
    """What is timed, and until when.

    Attributes:
        subjects: the models.
        batches: numbers of samples.
        compile_until: seconds after the start of the run; then nothing is compiled any more. ``None``: nothing ever is.
        until: then nothing is timed.
    """

    subjects: Sequence[Subject]
    batches: Sequence[int]
    compile_until: float | None = COMPILE_UNTIL
    until: float = UNTIL


@dataclass(frozen=True)
class Side:
    """One way of running a model on one batch.

    Attributes:
        call: what is timed, up to the synchronisation.
        result: runs it and reads the output.
    """

    call: Callable[[], object]
    result: Callable[[], Array]


@dataclass(frozen=True)
class Line:
    """One row: a model, whether weights are folded or computed in each run, a batch, and where its arrays lie."""

    model: str
    weights: Weights
    batch: int
    inputs: str
    sides: dict[str, Timing | str]


def all_subjects(*, quick: bool) -> list[Subject]:
    """The heads and a CNN."""
    found = [Subject(f"NALU {list(dims)}", partial(NALU, *dims), (dims[0],)) for dims in HEADS]
    found.append(Subject("CNN + head", partial(cnn, 1, 16, 16, 10), (1, 16, 16)))
    return [found[0], found[-1]] if quick else found


def compiled(module: nn.Module, mode: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """``torch.compile``, for each batch size apart: the fastest code it has. A break in the graph is an error."""
    return torch.compile(module, mode=mode, fullgraph=True, dynamic=False)


def synchronise() -> None:
    """Wait for everything that the device has been given, by whichever library."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Bench:
    """One model, loaded in every way.

    Args:
        setup: where.
        subject: the model.
        weights: folded on all sides, or computed in each run on all sides.
        compile_until: as :class:`Plan` has it.
    """

    def __init__(
        self, setup: Setup, subject: Subject, weights: Weights = "folded", compile_until: float | None = COMPILE_UNTIL
    ) -> None:
        self._setup, self._weights, self._compile_until = setup, weights, compile_until
        graph = subject.graph()
        model = folded_module(graph) if weights == "folded" else subject.model().requires_grad_(False)
        self._data = formats.get("onnx").emit(graph, EmitOptions(weights)).to_bytes({})
        # A model that does not get to the device leaves the other sides to be measured.
        self._module = _kept(lambda: model.to(setup.device))
        self._compiled = {name: _kept(partial(self._compile, mode)) for name, mode in COMPILED.items()}
        self._plain = _kept(self._session)
        options = {"enable_cuda_graph": "1"} if setup.device == "cuda" else {}
        self._graph = _kept(lambda: self._session(**options))
        self._graphs = 0

    def sides(self, x: Array, inputs: str) -> dict[str, Side | str]:
        """Every way of running this batch from there; a text where there is none, with the reason."""
        modules = {EAGER: self._module, **self._compiled}
        found: dict[str, Side | str] = {}
        for name, module in modules.items():
            why_not = "" if name == EAGER else self._not_compiled()
            found[name] = why_not or _tried(partial(self._torch, module, x, inputs))
        if inputs == HOST:
            return found | {CALL: _tried(lambda: self._call(x))}
        return found | {BINDING: _tried(lambda: self._binding(x)), GRAPH: _tried(lambda: self._replay(x))}

    def _not_compiled(self) -> str:
        """Why nothing is compiled, empty where something is."""
        if self._compile_until is None:
            return NOT_COMPILED
        return OUT_OF_TIME if self._setup.late(self._compile_until) else ""

    def _compile(self, mode: str) -> Callable[[torch.Tensor], torch.Tensor]:
        if isinstance(self._module, Exception):
            raise self._module
        return compiled(self._module, mode)

    def _session(self, **options: str) -> Any:
        # onnxruntime folds live weights when it loads the file: then a live file is a folded one.
        return whole(self._setup, self._data, fold=self._weights == "folded", **options)

    def _torch(self, kept: Any, x: Array, inputs: str) -> Side:
        module: Callable[[torch.Tensor], torch.Tensor] = _unwrap(kept)
        host, device = torch.from_numpy(x), self._setup.device

        def from_host() -> Array:
            with torch.no_grad():
                result: Array = module(host.to(device)).cpu().numpy()
            return result

        if inputs == HOST:
            return Side(from_host, from_host)
        there = host.to(device)

        def on_device() -> torch.Tensor:
            with torch.no_grad():
                return module(there)

        return Side(on_device, lambda: on_device().cpu().numpy())

    def _call(self, x: Array) -> Side:
        session = _unwrap(self._plain)
        source = session.get_inputs()[0].name

        def run() -> Array:
            result: Array = session.run(None, {source: x})[0]
            return result

        return Side(run, run)

    def _binding(self, x: Array) -> Side:
        session = _unwrap(self._plain)
        return _bound(session, *self._fixed(session, x, None), None)

    def _replay(self, x: Array) -> Side:
        session = _unwrap(self._graph)
        self._graphs += 1
        binding, out = self._fixed(session, x, _graph_options(-1))
        return _bound(session, binding, out, _graph_options(self._graphs))

    def _fixed(self, session: Any, x: Array, options: Any) -> tuple[Any, Any]:
        """A binding of buffers on the device that stay where they are; a run makes the output."""
        import onnxruntime

        device = self._setup.device
        source, target = session.get_inputs()[0].name, session.get_outputs()[0].name
        buffer = onnxruntime.OrtValue.ortvalue_from_numpy(np.array(x), device, 0)
        first = session.io_binding()
        first.bind_ortvalue_input(source, buffer)
        first.bind_output(target, device, 0)
        session.run_with_iobinding(first, options)
        first.synchronize_outputs()
        out = first.get_outputs()[0]
        binding = session.io_binding()
        binding.bind_ortvalue_input(source, buffer)
        binding.bind_ortvalue_output(target, out)
        return binding, out


def _bound(session: Any, binding: Any, out: Any, options: Any) -> Side:
    def run() -> None:
        session.run_with_iobinding(binding, options)

    def result() -> Array:
        run()
        run()  # where the first one captures a graph, this one replays it
        binding.synchronize_outputs()
        array: Array = out.numpy()
        return array

    return Side(run, result)


def _graph_options(number: int) -> Any:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options


def _kept(make: Callable[[], Any]) -> Any:
    """What is made, or the exception: it is told in the table wherever the thing is missing."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001
        return error


def _unwrap(kept: Any) -> Any:
    if isinstance(kept, Exception):
        raise kept
    return kept


def _tried(make: Callable[[], Side]) -> Side | str:
    try:
        return make()
    except Exception as error:  # noqa: BLE001  a failing item is a cell of the table
        return f"n/a ({brief(error)})"


def measure(setup: Setup, *, quick: bool, plan: Plan | None = None) -> list[Line]:
    """All rows: those of folded weights first."""
    plan = plan or Plan(all_subjects(quick=quick), BATCHES[quick])
    found: list[Line] = []
    with tf32(False), silence(), _recompiling():
        for weights in WEIGHTS:
            for subject in plan.subjects:
                found += _lines(setup, plan, subject, weights, quick=quick)
    return found


def _lines(setup: Setup, plan: Plan, subject: Subject, weights: Weights, *, quick: bool) -> Iterator[Line]:
    """Those of one model."""
    bench: Bench | None = None
    for batch in plan.batches:
        x = np.random.default_rng(0).uniform(0.5, 2.0, (batch, *subject.shape)).astype(np.float32)
        for inputs in (DEVICE, HOST):
            if setup.late(plan.until):
                yield Line(subject.name, weights, batch, inputs, dict.fromkeys(COLUMNS, OUT_OF_TIME))
                continue
            if bench is None:
                setup.progress(f"latency: {subject.name}, {weights}: loading")
                torch.compiler.reset()
                bench = Bench(setup, subject, weights, plan.compile_until)
            setup.progress(f"latency: {subject.name}, {weights}, batch {batch}, inputs on the {inputs}")
            yield Line(subject.name, weights, batch, inputs, time_batch(bench, x, inputs, quick=quick))


def time_batch(bench: Bench, x: Array, inputs: str, *, quick: bool) -> dict[str, Timing | str]:
    """Alternating rounds of every side that gives the right result."""
    expected: Array | None = None
    found: dict[str, Timing | str] = {}
    calls: dict[str, Callable[[], object]] = {}
    turns: dict[str, int] = {}
    for name, side in bench.sides(x, inputs).items():
        if isinstance(side, str):
            found[name] = side
            continue
        try:
            out = side.result()  # compiles, captures
            expected = out.copy() if expected is None else expected
            # A fast wrong answer is no answer. Loose, because between two layers some values are near 0 by
            # cancellation, where float32 determines the next layer's logarithm no better.
            np.testing.assert_allclose(out, expected, rtol=0.05, atol=0.05)
            call = partial(_synchronised, side.call)
            turns[name] = calls_within(call, TURN[quick])
            calls[name] = call
        except Exception as error:  # noqa: BLE001  a failing item is a cell of the table
            found[name] = f"n/a ({'wrong result' if isinstance(error, AssertionError) else brief(error)})"
    if calls:
        synchronise()
        found |= interleave(calls, ROUNDS[quick], turns)
    return found


def _synchronised(call: Callable[[], object]) -> None:
    call()
    synchronise()


@contextlib.contextmanager
def _recompiling() -> Iterator[None]:
    """Let dynamo compile one function for as many sizes as there are batches, twice; it stops at eight otherwise."""
    try:
        config: Any = importlib.import_module("torch._dynamo.config")
        patch = config.patch(recompile_limit=64)
    except Exception:  # noqa: BLE001  a private name: without it the limit shows as a reason in the table
        yield
        return
    with patch:
        yield


def section(found: list[Line], *, quick: bool) -> Section:
    """The table."""
    return Section(
        title="Latency: one run on the device, µs and ratio to eager PyTorch",
        method=(
            "The same weights and inputs on all sides (inputs 0.5..2, weights as initialised), float32 with TF32 off "
            "everywhere. Each row says where inputs and outputs lie, the same for all its sides: device, in the "
            "device's memory, nothing is copied; host, in numpy arrays, and both copies are part of the time. Each "
            "call is followed by `torch.cuda.synchronize()`, so this is latency, not throughput. Medians of "
            f"{ROUNDS[quick]} alternating rounds of about {TURN[quick] * 1e3:g} ms for each side, after a warm-up that "
            "compiles and captures. Folded: the effective weights are constants on all sides, in PyTorch in the graph "
            "that the file was written from. Live: all sides compute them in every run, PyTorch in this package's own "
            "module, ORT without its ConstantFolding, which would do it once. `torch.compile` gets eager's module, "
            "compiled for each batch size apart (`dynamic=False`). A ratio under 1 is faster than eager."
        ),
        header=("model", "weights", "batch", "inputs", *COLUMNS),
        rows=tuple(
            (line.model, line.weights, str(line.batch), line.inputs, *(_cell(line, name) for name in COLUMNS))
            for line in found
        ),
    )


def _cell(line: Line, name: str) -> str:
    side, eager = line.sides.get(name, ""), line.sides.get(EAGER)
    if isinstance(side, str):
        return side
    microseconds = side.median * 1e6
    text = figure(microseconds) if microseconds < 9999.5 else f"{microseconds:,.0f}"
    if name == EAGER or not isinstance(eager, Timing):
        return text
    return f"{text} ({side.median / eager.median:.2f}×)"
