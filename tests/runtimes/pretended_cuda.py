"""onnxruntime with a CUDA provider that is its CPU provider."""

import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import onnxruntime

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class PretendedCuda:
    """What is asked of it is kept, and it computes.

    Args:
        used: what a session says that it runs on.
        refuses: what loading raises.
        fails: what running raises.
        on_cpu: operators that it leaves to the CPU.
        preloading: what ``preload_dlls`` prints.
        unloadable: what loading the provider's library raises.
    """

    __version__ = "1.0"
    cuda_version = "13.0"
    # There is a file with the name of the provider's library where a test puts one.
    __file__ = "/nowhere/onnxruntime/__init__.py"

    def __init__(
        self,
        used: str = CUDA,
        *,
        refuses: Exception | None = None,
        fails: Exception | None = None,
        on_cpu: Iterable[str] = (),
        preloading: str = "",
        unloadable: Exception | None = None,
    ) -> None:
        self.used, self.refuses, self.fails, self.on_cpu = used, refuses, fails, set(on_cpu)
        self.preloading, self.unloadable = preloading, unloadable
        self.entries: dict[str, str] = {}
        self.options: dict[str, str] = {}
        self.graphs: list[str] = []
        self.disabled: list[str] = []
        self.preloaded = False
        self.levels: list[int] = []
        self.sessions = 0
        self.devices: set[tuple[str, int]] = set()
        self.assignments = True
        module = self

        class SessionOptions:
            log_severity_level = 0

            def add_session_config_entry(self, key: str, value: str) -> None:
                module.entries[key] = value

        class RunOptions:
            def add_run_config_entry(self, key: str, value: str) -> None:
                assert key == "gpu_graph_id"
                module.graphs.append(value)

        class OrtValue:
            @staticmethod
            def ortvalue_from_numpy(x: Any, device: str, number: int) -> Any:
                module.devices.add((device, number))
                return onnxruntime.OrtValue.ortvalue_from_numpy(x, "cpu", 0)

        self.SessionOptions, self.RunOptions, self.OrtValue = SessionOptions, RunOptions, OrtValue

    def set_default_logger_severity(self, level: int) -> None:
        self.levels.append(level)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def preload_dlls(self) -> None:
        sys.stdout.write(self.preloading)
        self.preloaded = True

    def register_execution_provider_library(self, name: str, path: str) -> None:
        assert name
        assert path.endswith("libonnxruntime_providers_cuda.so")
        if self.unloadable:
            raise self.unloadable

    def unregister_execution_provider_library(self, name: str) -> None:
        assert name

    def InferenceSession(  # noqa: N802
        self, data: bytes, options: Any, providers: Any, enable_fallback: int, disabled_optimizers: Any = ()
    ) -> Any:
        self.sessions += 1
        assert enable_fallback == 0
        assert options.log_severity_level == 4
        self.disabled = list(disabled_optimizers)
        ((name, self.options),) = providers
        assert name == CUDA
        if self.refuses:
            raise self.refuses
        return _PretendedSession(data, self)


class _PretendedSession:
    def __init__(self, data: bytes, module: PretendedCuda) -> None:
        options = onnxruntime.SessionOptions()
        for key, value in module.entries.items():
            options.add_session_config_entry(key, value)
        self._session = onnxruntime.InferenceSession(
            data, options, providers=[CPU], disabled_optimizers=module.disabled or None
        )
        self._module = module
        if module.assignments:
            self.get_provider_graph_assignment_info = self._assigned

    def __getattr__(self, name: str) -> Any:
        if name == "get_provider_graph_assignment_info":
            raise AttributeError(name)
        return getattr(self._session, name)

    def _assigned(self) -> list[Any]:
        nodes = [node for group in self._session.get_provider_graph_assignment_info() for node in group.get_nodes()]
        there = [node for node in nodes if node.op_type not in self._module.on_cpu]
        here = [node for node in nodes if node.op_type in self._module.on_cpu]
        return [SimpleNamespace(ep_name=n, get_nodes=lambda g=g: g) for n, g in ((CUDA, there), (CPU, here)) if g]

    def get_providers(self) -> list[str]:
        return [self._module.used, CPU]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {CUDA: {"device_id": "0", **self._module.options}}

    def run(self, *arguments: Any) -> Any:
        if self._module.fails:
            raise self._module.fails
        return self._session.run(*arguments)

    def io_binding(self) -> Any:
        binding = self._session.io_binding()
        bind_output = binding.bind_output

        def bound(name: str, device: str, number: int) -> None:
            self._module.devices.add((device, number))
            bind_output(name, "cpu", 0)

        binding.bind_output = bound
        return binding

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        del options
        if self._module.fails:
            raise self._module.fails
        self._session.run_with_iobinding(binding)
