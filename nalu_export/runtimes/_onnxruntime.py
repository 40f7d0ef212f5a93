"""What the ONNX Runtime runtimes share: the session, its refusal to fall back, I/O binding and CUDA graphs."""

import contextlib
import io
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError, RuntimeUnavailableError, first_line
from nalu_export.runtimes._cuda import device_facts
from nalu_export.runtimes._imports import import_library
from nalu_export.runtimes._onnx_values import Loaded, OnnxSession, Runner
from nalu_export.runtimes.base import Arrays, RunOptions

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

# onnxruntime's exception classes share no base but Exception; these say that the file is at fault, not the device.
_BAD_FILE = ("InvalidProtobuf", "InvalidGraph", "InvalidArgument", "NoModel")
# gpu_graph_id of a run that is neither captured nor replayed.
_UNCAPTURED = -1


@dataclass(frozen=True)
class Target:
    """Where ONNX Runtime is to run a file.

    Attributes:
        runtime: name for messages.
        provider: the execution provider that must run every node.
        device: how ``OrtValue`` spells the provider's device.
        options: for the provider.
        threads: intra-op threads, ``None`` for onnxruntime's default.
    """

    runtime: str
    provider: str = CPU
    device: str = "cpu"
    options: dict[str, str] = field(default_factory=dict)
    threads: int | None = None


def import_onnxruntime(runtime: str, extra: str) -> Any:
    """The module ``onnxruntime``, or an error that says what to install.

    Its packages for Linux and macOS send usage data to their maker and leave files behind, from the import on, unless
    the environment forbids it (onnxruntime pull requests 27379 and 29843, which changed the name of the variable).
    Nobody who checks a model has asked for that; whoever sets the variables decides.
    """
    for variable in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):
        os.environ.setdefault(variable, "1")
    return import_library("onnxruntime", runtime, extra)


def cuda_target(onnxruntime: Any, runtime: str, options: RunOptions, **provider_options: str) -> Target:
    """The CUDA provider, TF32 off unless asked for (its own default is on), its libraries loaded.

    Raises:
        RuntimeUnavailableError: this onnxruntime was built without it.
    """
    if CUDA not in onnxruntime.get_available_providers():
        raise RuntimeUnavailableError(
            f"{runtime}: this onnxruntime has no {CUDA}; pip uninstall onnxruntime, then pip install 'nalu_export[gpu]'"
        )
    # CUDA and cuDNN from the nvidia-* wheels are not on the loader's path by themselves. It prints what it misses;
    # what matters of that comes back as the provider that did not load.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    return Target(runtime, CUDA, "cuda", {"use_tf32": "1" if options.tf32 else "0", **provider_options})


class OrtSession(OnnxSession):
    """An ``InferenceSession`` on exactly one provider, run with arrays.

    Args:
        data: the ONNX file.
        onnxruntime: the module.
        target: where it must run.
    """

    #: How it runs, for :attr:`Session.where`, where that is not the plain way.
    manner = ""

    def __init__(self, data: bytes, onnxruntime: Any, target: Target) -> None:
        self._onnxruntime, self._target = onnxruntime, target
        library = f"onnxruntime {onnxruntime.__version__}"
        super().__init__(target.runtime, data)
        facts = {"device": "CPU"}
        if target.provider == CUDA:
            facts = {**device_facts(), "cuda": str(getattr(onnxruntime, "cuda_version", "") or "unknown")}
        self.details = {
            "library": library,
            **facts,
            "provider": target.provider,
            "options": ", ".join(f"{key}={value}" for key, value in sorted(self._in_force.items())),
            "threads": "default" if target.threads is None else str(target.threads),
        }
        parts = [library, target.provider]
        if target.provider == CUDA:
            # From what the session says, not from what was asked of it.
            state = {"0": "off", "1": "on"}.get(self._in_force.get("use_tf32", ""), "unknown")
            parts += [facts["device"], f"driver {facts['driver']}", f"TF32 {state}"]
        self.where = ", ".join([*parts, self.manner] if self.manner else parts)

    def _load(self, data: bytes) -> Loaded:
        session = self._inference_session(data)
        self._in_force = dict(session.get_provider_options()[self._target.provider])
        runner = self._runner(session)

        def run(inputs: Arrays) -> Arrays:
            try:
                return runner([np.ascontiguousarray(array) for array in inputs])
            except Exception as error:
                # No common base here either. A file that cannot take the batch is a failed check, not a crash.
                raise InputError(f"onnxruntime: {first_line(error)}") from error

        names = ([value.name for value in values] for values in (session.get_inputs(), session.get_outputs()))
        return Loaded(run, *names)

    def _runner(self, session: Any) -> Runner:
        """How a batch is run."""
        names = [value.name for value in session.get_outputs()]
        sources = [value.name for value in session.get_inputs()]
        return lambda inputs: session.run(names, dict(zip(sources, inputs, strict=True)))

    def _inference_session(self, data: bytes) -> Any:
        runtime, provider = self._target.runtime, self._target.provider
        available = self._onnxruntime.get_available_providers()
        if provider not in available:
            raise RuntimeUnavailableError(f"{runtime}: this onnxruntime has no {provider}, only {', '.join(available)}")
        options = self._onnxruntime.SessionOptions()
        options.log_severity_level = 4  # failures come as exceptions, warnings about fallback as errors below
        if self._target.threads is not None:
            options.intra_op_num_threads = self._target.threads
        if provider != CPU:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            # enable_fallback: otherwise a failure prints a banner and tries again on the CPU.
            session = self._onnxruntime.InferenceSession(
                data, options, providers=[(provider, dict(self._target.options))], enable_fallback=0
            )
        except Exception as error:
            reason = first_line(error)
            if provider != CPU and type(error).__name__ not in _BAD_FILE:
                raise RuntimeUnavailableError(f"{runtime}: cannot run on {provider}: {reason}") from error
            raise InputError(f"{runtime} refuses the file: {reason}") from error
        used = session.get_providers()
        if used[0] != provider:
            # The provider's libraries did not load: onnxruntime falls back to the CPU without an error.
            raise RuntimeUnavailableError(f"{runtime}: asked for {provider}, got {', '.join(used)}")
        return session


class BindingSession(OrtSession):
    """The same with I/O binding: the batch is copied to the device first, the outputs are made there.

    https://onnxruntime.ai/docs/performance/tune-performance/iobinding.html
    """

    manner = "I/O binding"

    def _runner(self, session: Any) -> Runner:
        return lambda inputs: _results(session, self._bound(session, inputs))

    def _bound(self, session: Any, inputs: Arrays) -> Any:
        """A binding of this batch, and of outputs that the run makes on the device."""
        binding = session.io_binding()
        for source, array in zip(session.get_inputs(), inputs, strict=True):
            binding.bind_ortvalue_input(source.name, self._on_device(array))
        for output in session.get_outputs():
            binding.bind_output(output.name, self._target.device, 0)
        return binding

    def _on_device(self, x: NDArray[np.generic]) -> Any:
        # On the CPU an OrtValue is the array itself, and a buffer that is written to must not be the caller's.
        return self._onnxruntime.OrtValue.ortvalue_from_numpy(np.array(x), self._target.device, 0)


class GraphSession(BindingSession):
    """The same with CUDA graphs: the first batch of a shape is captured, every run after that replays its kernels.

    What a graph needs, from https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html: every node on
    the CUDA provider, no control flow, and inputs and outputs at addresses that never change. So each shape has
    its own buffers and its own graph (run option ``gpu_graph_id``), and a batch is copied into the buffers in place.
    A run before the capture, not captured itself, makes the outputs and lets the allocator and cuDNN settle; the result
    of the capturing run is thrown away, so that every result comes from a replay. A batch without samples launches no
    kernel and is run without a graph.
    """

    manner = "CUDA graph"

    def _runner(self, session: Any) -> Runner:
        captured: dict[tuple[tuple[int, ...], ...], tuple[int, Any, list[Any]]] = {}

        def run(inputs: Arrays) -> Arrays:
            if not all(array.size for array in inputs):
                return _results(session, self._bound(session, inputs), self._graph(_UNCAPTURED))
            shapes = tuple(array.shape for array in inputs)
            if shapes not in captured:
                captured[shapes] = (len(captured) + 1, *self._captured(session, inputs, len(captured) + 1))
            number, binding, buffers = captured[shapes]
            for buffer, array in zip(buffers, inputs, strict=True):
                buffer.update_inplace(array)
            return _results(session, binding, self._graph(number))

        return run

    def _captured(self, session: Any, inputs: Arrays, number: int) -> tuple[Any, list[Any]]:
        """A binding of buffers whose addresses stay, with its graph captured; and the inputs' buffers."""
        first = self._bound(session, inputs)
        _results(session, first, self._graph(_UNCAPTURED))
        binding, buffers = session.io_binding(), [self._on_device(array) for array in inputs]
        for source, buffer in zip(session.get_inputs(), buffers, strict=True):
            binding.bind_ortvalue_input(source.name, buffer)
        for output, value in zip(session.get_outputs(), first.get_outputs(), strict=True):
            binding.bind_ortvalue_output(output.name, value)
        _results(session, binding, self._graph(number))
        return binding, buffers

    def _graph(self, number: int) -> Any:
        options = self._onnxruntime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(number))
        return options


def _results(session: Any, binding: Any, options: Any = None) -> Arrays:
    """Run a binding; its outputs as arrays. Copies to and from a device may be under way when a call returns."""
    binding.synchronize_inputs()
    session.run_with_iobinding(binding, options)
    binding.synchronize_outputs()
    outputs: Arrays = binding.copy_outputs_to_cpu()
    return outputs
