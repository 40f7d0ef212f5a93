"""Shared code of the ONNX Runtime runtimes: the session, which never falls back to another provider."""

import os
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nalu_export.errors import InputError, NaluExportError, RuntimeUnavailableError, no_memory
from nalu_export.runtimes._cuda_device import device_facts, tf32_state
from nalu_export.runtimes._cuda_faults import device_fault, told
from nalu_export.runtimes._imports import import_library
from nalu_export.runtimes._onnx_values import Loaded, OnnxSession, Runner
from nalu_export.runtimes._ort_cuda import CUDA, need_provider, not_loaded, provider_options, warnings_off, why_not
from nalu_export.runtimes._ort_placement import RECORD, Placed, computing, elsewhere, folded, listed
from nalu_export.runtimes.base import Arrays, RunOptions

CPU = "CPUExecutionProvider"

# onnxruntime's exception classes share no base but Exception; these mean that the file is at fault, not the device.
_BAD_FILE = ("InvalidProtobuf", "InvalidGraph", "InvalidArgument", "NoModel")
_OPTION = re.compile(r"(?:Unknown|Invalid) provider option.*|Failed to parse provider option.*")
# The optimizer that computes constant subexpressions, with CPU kernels.
_FOLDING = "ConstantFolding"


@dataclass(frozen=True)
class Target:
    """Where ONNX Runtime has to run a file.

    Attributes:
        runtime: name of the runtime, for messages.
        provider: the execution provider that must run every node.
        device: how ``OrtValue`` spells the provider's device.
        number: number of the device.
        options: options of the provider.
        threads: intra-op threads, ``None`` for onnxruntime's default.
        fold: whether constant subexpressions are computed once, when the file is loaded.
    """

    runtime: str
    provider: str = CPU
    device: str = "cpu"
    number: int = 0
    options: dict[str, str] = field(default_factory=dict)
    threads: int | None = None
    fold: bool = True


def import_onnxruntime(runtime: str, extra: str) -> Any:
    """Import the module ``onnxruntime``; if it is missing, the error says what to install.

    Its packages for Linux and macOS send usage data to their maker and leave files behind, from the import on, unless
    the environment forbids it (onnxruntime pull requests 27379 and 29843, which changed the name of the variable).
    A check switches this off, unless the user has set the variables.
    """
    for variable in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):
        os.environ.setdefault(variable, "1")
    return import_library("onnxruntime", runtime, extra)


def cuda_target(onnxruntime: Any, runtime: str, options: RunOptions, **more: str) -> Target:
    """Return the CUDA provider as a target, with its libraries loaded.

    Raises:
        RuntimeUnavailableError: the provider does not load.
        InputError: a given provider option has a command-line option of its own.
    """
    given = provider_options(options, **more)
    need_provider(onnxruntime, runtime)
    return Target(runtime, CUDA, "cuda", options.device, given, fold=options.fold)


class OrtSession(OnnxSession):
    """An ``InferenceSession`` on exactly one provider, run with arrays.

    Args:
        data: the ONNX file.
        onnxruntime: the module.
        target: where it must run.
    """

    #: How it runs, for :attr:`Session.where`; empty for a plain run.
    mode = ""

    def __init__(self, data: bytes, onnxruntime: Any, target: Target) -> None:
        self._onnxruntime, self._target = onnxruntime, target
        self._on_cpu: list[Placed] = []
        self._folded = False
        library = f"onnxruntime {onnxruntime.__version__}"
        super().__init__(target.runtime, data)
        options, facts = dict(self._in_force), {"device": "CPU"}
        parts = [library, target.provider]
        if target.provider == CUDA:
            facts = {**device_facts(target.number), "cuda": str(getattr(onnxruntime, "cuda_version", "") or "unknown")}
            # The options in force as the session reports them, not as they were requested.
            state, more = tf32_state(self._in_force.get("use_tf32") == "1")
            options |= more
            parts += [facts["device"], f"driver {facts['driver']}", f"TF32 {state}", *self._remarkable()]
        self.details = {
            "library": library,
            **facts,
            "provider": target.provider,
            "options": ", ".join(f"{key}={value}" for key, value in sorted(options.items())),
            "threads": "default" if target.threads is None else str(target.threads),
        }
        self.where = ", ".join([*parts, self.mode] if self.mode else parts)

    def _remarkable(self) -> list[str]:
        """Return the legitimate work that does not run on the device."""
        found = [f"shapes on the CPU: {listed(self._on_cpu)}"] if self._on_cpu else []
        return [*found, "constants folded on the CPU at load"] if self._folded else found

    def _load(self, data: bytes) -> Loaded:
        session = self._inference_session(data)
        self._in_force = dict(session.get_provider_options()[self._target.provider])
        runner = self._runner(session)

        def run(inputs: Arrays) -> Arrays:
            try:
                return runner([np.ascontiguousarray(array) for array in inputs])
            except Exception as error:
                # No common base here either. A file that rejects the batch fails the check; it does not crash it.
                raise self._fault(error) or no_memory(error) or InputError(f"onnxruntime: {told(error)}") from error

        names = ([value.name for value in values] for values in (session.get_inputs(), session.get_outputs()))
        return Loaded(run, *names)

    def _fault(self, error: Exception) -> NaluExportError | None:
        """Return the device fault that an error means, if it is one."""
        return None if self._target.provider == CPU else device_fault(error, self._target.runtime)

    def _runner(self, session: Any) -> Runner:
        """Return the function that runs a batch."""
        names = [value.name for value in session.get_outputs()]
        sources = [value.name for value in session.get_inputs()]
        return lambda inputs: session.run(names, dict(zip(sources, inputs, strict=True)))

    def _inference_session(self, data: bytes) -> Any:
        runtime, provider = self._target.runtime, self._target.provider
        available = self._onnxruntime.get_available_providers()
        if provider not in available:
            raise RuntimeUnavailableError(
                f"{runtime}: this onnxruntime has no {provider}; it has {', '.join(available)}"
            )
        try:
            with warnings_off(self._onnxruntime, off=self._target.number > 0):
                # enable_fallback: otherwise a failure prints a banner and is retried on the CPU.
                session = self._onnxruntime.InferenceSession(
                    data,
                    self._session_options(),
                    providers=[(provider, dict(self._target.options))],
                    enable_fallback=0,
                    **({} if self._target.fold else {"disabled_optimizers": [_FOLDING]}),
                )
        except Exception as error:
            raise self._refusal(error) from error
        if session.get_providers()[0] != provider:
            # The provider's libraries did not load: onnxruntime falls back to the CPU without an error.
            raise not_loaded(self._onnxruntime, runtime, why_not(self._onnxruntime))
        if provider != CPU:
            self._refuse_fallback(session, data)
        return session

    def _session_options(self) -> Any:
        options = self._onnxruntime.SessionOptions()
        options.log_severity_level = 4  # failures come as exceptions, warnings about fallback as errors
        if self._target.threads is not None:
            options.intra_op_num_threads = self._target.threads
        if self._target.provider != CPU:
            # Not "session.disable_cpu_ep_fallback", which forbids shape computations on the CPU too.
            options.add_session_config_entry(RECORD, "1")
        return options

    def _refusal(self, error: Exception) -> NaluExportError:
        runtime, provider, reason = self._target.runtime, self._target.provider, told(error)
        if fault := self._fault(error):
            return fault
        if provider != CPU and (option := _OPTION.search(reason)):
            return InputError(f"{runtime}: {option[0]}")
        if provider != CPU and type(error).__name__ not in _BAD_FILE:
            return RuntimeUnavailableError(f"{runtime}: cannot run on {provider}: {reason}")
        return no_memory(error) or InputError(f"{runtime} refuses the file: {reason}")

    def _refuse_fallback(self, session: Any, data: bytes) -> None:
        """Raise if another provider runs anything but shape computations."""
        runtime, provider = self._target.runtime, self._target.provider
        library = f"onnxruntime {self._onnxruntime.__version__}"
        if not hasattr(session, "get_provider_graph_assignment_info"):
            raise RuntimeUnavailableError(
                f"{runtime}: {library} does not report which provider runs a node; pip install 'onnxruntime-gpu>=1.24'"
            )
        others = elsewhere(session, provider)
        wrong = computing(data, others) if others else {}
        if wrong:
            count = len(wrong)
            raise RuntimeUnavailableError(
                f"{runtime}: {library} runs {count} node{'' if count == 1 else 's'} of the file on the CPU, for which "
                f"{provider} has no kernel: {listed(wrong, wrong)}"
            )
        self._on_cpu, self._folded = others, folded(data, session)
