"""ONNX Runtime as a GPU pipeline feeds it: with I/O binding, and with CUDA graphs."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.runtimes._onnx_values import Runner
from nalu_export.runtimes._onnxruntime import OrtSession
from nalu_export.runtimes.base import Arrays

# gpu_graph_id of a run that is neither captured nor replayed.
_UNCAPTURED = -1
_RUNS_TO_CAPTURE = 3
_CAPTURING = threading.RLock()


class BindingSession(OrtSession):
    """A session with I/O binding: the batch is copied to the device first, and the outputs are allocated there.

    https://onnxruntime.ai/docs/performance/tune-performance/iobinding.html
    """

    mode = "I/O binding"

    def _runner(self, session: Any) -> Runner:
        return lambda inputs: _results(session, self._bound(session, inputs))

    def _bound(self, session: Any, inputs: Arrays) -> Any:
        """Return a binding of this batch, with outputs that the run allocates on the device."""
        binding = session.io_binding()
        for source, array in zip(session.get_inputs(), inputs, strict=True):
            binding.bind_ortvalue_input(source.name, self._on_device(array))
        for output in session.get_outputs():
            binding.bind_output(output.name, self._target.device, self._target.number)
        return binding

    def _on_device(self, x: NDArray[np.generic]) -> Any:
        # On the CPU an OrtValue is the array itself, and the caller's array must not be overwritten.
        return self._onnxruntime.OrtValue.ortvalue_from_numpy(np.array(x), self._target.device, self._target.number)


class GraphSession(BindingSession):
    """I/O binding with CUDA graphs: the first batch of a shape is captured, every later run replays its kernels.

    A CUDA graph needs every node on the CUDA provider except those that compute shapes, no control flow, and inputs and
    outputs at fixed addresses (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html). So each
    shape has its own buffers and its own graph (run option ``gpu_graph_id``), and a batch is copied into the buffers in
    place. ONNX Runtime keeps a graph with the thread that captured it, so each thread has its own graphs too. No other
    thread may call CUDA during a capture; threads that use this class wait for each other.

    A run before the capture, not captured itself, allocates the outputs. The provider then captures after two regular
    runs of a graph, because the second may still allocate memory (min_num_runs_before_cuda_graph_capture_ in
    onnxruntime/core/providers/cuda/cuda_execution_provider.h). The results of all these runs are discarded, so that
    every returned result comes from a replay. A batch without samples launches no kernel and is run without a graph.
    """

    mode = "CUDA graph"

    def _runner(self, session: Any) -> Runner:
        captured: dict[tuple[int, tuple[tuple[int, ...], ...]], tuple[int, Any, list[Any]]] = {}

        def run(inputs: Arrays) -> Arrays:
            if not all(array.size for array in inputs):
                return _results(session, self._bound(session, inputs), self._graph(_UNCAPTURED))
            key = threading.get_ident(), tuple(array.shape for array in inputs)
            if key not in captured:
                captured[key] = (len(captured) + 1, *self._captured(session, inputs, len(captured) + 1))
            number, binding, buffers = captured[key]
            for buffer, array in zip(buffers, inputs, strict=True):
                buffer.update_inplace(array)
            return _results(session, binding, self._graph(number))

        def alone(inputs: Arrays) -> Arrays:
            with _CAPTURING:
                return run(inputs)

        return alone

    def _captured(self, session: Any, inputs: Arrays, number: int) -> tuple[Any, list[Any]]:
        """Capture a graph for buffers at fixed addresses; return their binding and the input buffers."""
        first = self._bound(session, inputs)
        _results(session, first, self._graph(_UNCAPTURED))
        binding, buffers = session.io_binding(), [self._on_device(array) for array in inputs]
        for source, buffer in zip(session.get_inputs(), buffers, strict=True):
            binding.bind_ortvalue_input(source.name, buffer)
        for output, value in zip(session.get_outputs(), first.get_outputs(), strict=True):
            binding.bind_ortvalue_output(output.name, value)
        for _ in range(_RUNS_TO_CAPTURE):
            _results(session, binding, self._graph(number))
        return binding, buffers

    def _graph(self, number: int) -> Any:
        options = self._onnxruntime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(number))
        return options


def _results(session: Any, binding: Any, options: Any = None) -> Arrays:
    """Run a binding and return its outputs as arrays; waits for copies that are still running when a call returns."""
    binding.synchronize_inputs()
    session.run_with_iobinding(binding, options)
    binding.synchronize_outputs()
    outputs: Arrays = binding.copy_outputs_to_cpu()
    return outputs
