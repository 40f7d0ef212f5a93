"""The only module that calls ``torch.jit``. It is deprecated since torch 2.9, but libtorch in C++ still needs it."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from nalu_export.process.locks import own_warnings


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the DeprecationWarning of ``torch.jit`` calls and the advice of its compiler and tracer, nothing else."""
    with own_warnings():
        warnings.filterwarnings("ignore", r"`?torch\.jit", DeprecationWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)
        # torch warns about the annotations of its own modules when it scripts a model that contains them.
        warnings.filterwarnings("ignore", "The TorchScript type system doesn't support instance-level", UserWarning)
        yield


def trace(module: nn.Module, example: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    """Call ``torch.jit.trace`` without its own check: the parity check is stricter and covers other shapes."""
    with quiet(), torch.no_grad():
        return torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-any-return, no-untyped-call]


def script_or_trace(module: nn.Module, example: tuple[Tensor, ...]) -> tuple[torch.jit.ScriptModule, bool]:
    """Return the scripted module and ``True``, or if scripting fails the traced module and ``False``."""
    with quiet():
        try:
            return torch.jit.script(module), True
        except Exception:  # noqa: BLE001  the compiler raises NotSupportedError, RuntimeError, AttributeError, OSError …
            return trace(module, example), False


def defined(modules: Mapping[str, torch.jit.ScriptModule], source: str) -> torch.jit.ScriptModule:
    """Return a script module with the given submodules and the methods that ``source`` defines in TorchScript."""
    with quiet():
        holder = nn.Module()
        for name, module in modules.items():
            holder.add_module(name, module)
        scripted: torch.jit.ScriptModule = torch.jit.script(holder)
        scripted.define(source)
    return scripted


def save(module: torch.jit.ScriptModule, extra_files: dict[str, str]) -> bytes:
    """Return the bytes of the TorchScript archive of a module, with ``extra_files`` (texts by name) in it."""
    buffer = io.BytesIO()
    with quiet():
        torch.jit.save(module, buffer, _extra_files=extra_files)
    return buffer.getvalue()


def load(data: bytes, device: torch.device | None = None) -> torch.jit.ScriptModule:
    """Load the module of a TorchScript archive, by default on the CPU. Loading it runs code from the archive."""
    with quiet():
        return torch.jit.load(io.BytesIO(data), map_location=device or "cpu")  # type: ignore[no-any-return, no-untyped-call]
