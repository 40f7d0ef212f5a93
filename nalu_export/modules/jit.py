"""The one place that calls ``torch.jit``: deprecated since torch 2.9, still what C++ loads."""

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
    """Hide the DeprecationWarning of every ``torch.jit`` call and the advice of compiler and tracer; nothing else."""
    with own_warnings():
        warnings.filterwarnings("ignore", r"`?torch\.jit", DeprecationWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)
        # About the annotations of torch's own modules, when it scripts what contains them.
        warnings.filterwarnings("ignore", "The TorchScript type system doesn't support instance-level", UserWarning)
        yield


def trace(module: nn.Module, example: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    """``torch.jit.trace`` without its own check: the parity check is stricter and covers other shapes."""
    with quiet(), torch.no_grad():
        return torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-any-return, no-untyped-call]


def script_or_trace(module: nn.Module, example: tuple[Tensor, ...]) -> tuple[torch.jit.ScriptModule, bool]:
    """Scripted, or traced where torch cannot script it; and whether it was scripted."""
    with quiet():
        try:
            return torch.jit.script(module), True
        except Exception:  # noqa: BLE001  the compiler raises NotSupportedError, RuntimeError, AttributeError, OSError …
            return trace(module, example), False


def defined(modules: Mapping[str, torch.jit.ScriptModule], source: str) -> torch.jit.ScriptModule:
    """A module of these submodules whose ``forward`` is written in TorchScript."""
    with quiet():
        holder = nn.Module()
        for name, module in modules.items():
            holder.add_module(name, module)
        found: torch.jit.ScriptModule = torch.jit.script(holder)
        found.define(source)
    return found


def save(module: torch.jit.ScriptModule, extra_files: dict[str, str]) -> bytes:
    """The archive as torch writes it."""
    buffer = io.BytesIO()
    with quiet():
        torch.jit.save(module, buffer, _extra_files=extra_files)
    return buffer.getvalue()


def load(data: bytes, device: torch.device | None = None) -> torch.jit.ScriptModule:
    """The module of an archive, by default on the CPU; loading runs what is in it."""
    with quiet():
        return torch.jit.load(io.BytesIO(data), map_location=device or "cpu")  # type: ignore[no-any-return, no-untyped-call]
