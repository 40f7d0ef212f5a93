"""What the two ONNX Runtime runtimes share: the import, the session and its refusal to fall back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError, RuntimeUnavailableError, first_line
from nalu_export.runtimes.base import Session


def import_onnxruntime(runtime: str, extra: str) -> Any:
    """The module ``onnxruntime``, or an error that says what to install."""
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeUnavailableError(
            f"{runtime}: onnxruntime is not installed; pip install 'nalu_export[{extra}]'"
        ) from error
    return onnxruntime


class OnnxSession(Session):
    """An ``InferenceSession`` on exactly one provider.

    Args:
        data: the ONNX file.
        onnxruntime: the module.
        provider: name of the execution provider that must run every node.
        provider_options: for that provider.
        runtime: name for messages.
        threads: intra-op threads, ``None`` for onnxruntime's default.
    """

    def __init__(
        self,
        data: bytes,
        onnxruntime: Any,
        provider: str,
        provider_options: dict[str, Any],
        runtime: str,
        threads: int | None = None,
    ) -> None:
        available = onnxruntime.get_available_providers()
        if provider not in available:
            raise RuntimeUnavailableError(f"{runtime}: this onnxruntime has no {provider}, only {', '.join(available)}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # failures come as exceptions, warnings about fallback as errors below
        if threads is not None:
            options.intra_op_num_threads = threads
        if provider != "CPUExecutionProvider":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            # enable_fallback: otherwise a failure prints a banner and tries again on the CPU.
            self._session = onnxruntime.InferenceSession(
                data, options, providers=[(provider, provider_options)], enable_fallback=0
            )
        except Exception as error:
            # onnxruntime's exception classes share no base but Exception.
            reason = first_line(error)
            if provider != "CPUExecutionProvider":
                raise RuntimeUnavailableError(f"{runtime}: cannot run on {provider}: {reason}") from error
            raise InputError(f"{runtime} refuses the file: {reason}") from error
        used = self._session.get_providers()
        if used[0] != provider:
            # The provider's libraries did not load: onnxruntime falls back to the CPU without an error.
            raise RuntimeUnavailableError(f"{runtime}: asked for {provider}, got {', '.join(used)}")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise InputError(f"{runtime}: the file has {len(inputs)} inputs and {len(outputs)} outputs, not one each")
        self._input, self._output = inputs[0].name, outputs[0].name
        self.where = f"onnxruntime {onnxruntime.__version__}, {provider}"

    def run(self, x: NDArray[np.float32]) -> NDArray[np.generic]:
        """See :meth:`Session.run`."""
        try:
            (result,) = self._session.run([self._output], {self._input: x})
        except Exception as error:
            # The same: no common base. A file that cannot take the batch is a failed check, not a crash.
            raise InputError(f"onnxruntime: {first_line(error)}") from error
        assert isinstance(result, np.ndarray)
        return result
