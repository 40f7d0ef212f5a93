"""Shared code of the runtimes inside PyTorch: eager and TorchScript sessions on a device."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nalu_export.errors import InputError, NaluExportError, RuntimeUnavailableError, first_line, no_memory
from nalu_export.graph.structure import leaves
from nalu_export.modules import jit
from nalu_export.runtimes._cuda_device import device_facts, tf32_state
from nalu_export.runtimes._cuda_faults import device_fault
from nalu_export.runtimes._script_values import script_values
from nalu_export.runtimes._tf32 import tf32
from nalu_export.runtimes.base import Arrays, RunOptions, Session

_T = TypeVar("_T")
_IN_THE_INTERPRETER = "The following operation failed in the TorchScript interpreter"


class _TorchSession(Session):
    """A session of a module on a device.

    Args:
        module: a module that is already on the device.
        what: ``eager`` or ``TorchScript``.
        device: the CPU or a CUDA device.
        options: see :class:`RunOptions`; TF32 is set for each run and restored after it. The number of threads is not
            set here, because torch has one number for the whole process.
    """

    def __init__(self, module: Callable[..., object], what: str, device: torch.device, options: RunOptions) -> None:
        self._module, self._device, self._options = module, device, options
        self._what = "torch" if what == "eager" else what
        library = f"torch {torch.__version__}"
        self.details = {"library": library, "device": "CPU", "provider": what, "options": ""}
        self.where = f"{library}, {what}, CPU"
        if device.type == "cuda":
            facts = {**device_facts(device.index), "cuda": str(torch.version.cuda)}
            flag = int(options.tf32)
            state, more = tf32_state(options.tf32)
            given = {"device": str(device), "cudnn.allow_tf32": flag, "matmul.allow_tf32": flag, **more}
            if options.device_memory is not None:
                given["memory"] = options.device_memory
            self.details |= {**facts, "options": ", ".join(f"{key}={value}" for key, value in sorted(given.items()))}
            self.where = (
                f"{library}, {what}, CUDA {facts['cuda']}, {facts['device']}, driver {facts['driver']}, TF32 {state}"
            )
        self.details["threads"] = str(torch.get_num_threads())

    def run(self, inputs: Arrays) -> Arrays:
        """See :meth:`Session.run`."""
        return self._computed(inputs, lambda *batch: self._results(self._module(*batch)))

    def _results(self, result: object) -> list[NDArray[np.generic]]:
        found = [leaf for _, leaf in leaves(result) if leaf is not None]
        for leaf in found:
            if not isinstance(leaf, Tensor):
                raise InputError(f"{self._what}: the module returns {type(leaf).__name__}, not a tensor")
        return [_array(leaf) for leaf in found]

    def _computed(self, inputs: Arrays, compute: Callable[..., _T]) -> _T:
        """Call ``compute`` with a batch on the device and turn its errors into one line.

        ``compute`` also copies its results back. CUDA runs asynchronously: an error shows in a later call, at the
        latest when results are copied.
        """
        try:
            with torch.no_grad(), self._settings():
                return compute(*(torch.from_numpy(array).to(self._device) for array in inputs))
        except NaluExportError:
            raise
        except Exception as error:
            # An archive raises torch.jit.Error, which has no specific base; numpy rejects sparse tensors.
            fault = device_fault(error, self._what) if self._device.type == "cuda" else None
            raise fault or no_memory(error) or InputError(f"{self._what}: {_reason(error)}") from error

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Apply TF32 and the memory limit for one run."""
        if self._device.type != "cuda":
            yield
            return
        with tf32(self._options.tf32), memory_limit(self._device, self._options.device_memory):
            yield


def _reason(error: Exception) -> str:
    """Return the reason of an error; TorchScript puts a long location before it."""
    first = first_line(error)
    return str(error).strip().splitlines()[-1].strip() if first.startswith(_IN_THE_INTERPRETER) else first


def _array(tensor: Tensor) -> NDArray[np.generic]:
    array: NDArray[np.generic] = tensor.detach().cpu().numpy()
    return array


@contextmanager
def memory_limit(device: torch.device, limit: int | None) -> Iterator[None]:
    """Let torch take at most ``limit`` bytes of a device in this context; ``None`` changes nothing."""
    if limit is None:
        yield
        return
    before = torch.cuda.get_per_process_memory_fraction(device)
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(before, device)


class EagerSession(_TorchSession):
    """A session of the model itself in float32; it runs a copy, so that the user can go on training."""

    def __init__(self, model: nn.Module, device: torch.device, options: RunOptions) -> None:
        super().__init__(moved(copy.deepcopy(model).eval(), device), "eager", device, options)


class ScriptSession(_TorchSession):
    """A session of a TorchScript archive."""

    def __init__(self, data: bytes, runtime: str, device: torch.device, options: RunOptions) -> None:
        try:
            # Loaded onto its device: moving a module later does not move the constants in its code.
            self._script = jit.load(data, device).eval()
        except RuntimeError as error:
            fault = device_fault(error, runtime) if device.type == "cuda" else None
            raise fault or InputError(f"{runtime} refuses the file: {first_line(error)}") from error
        super().__init__(self._script, "TorchScript", device, options)

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """See :meth:`Session.values` and :mod:`nalu_export.runtimes._script_values`."""

        def found(*batch: Tensor) -> dict[str, NDArray[np.generic]]:
            return {name: _array(value) for name, value in script_values(self._script, batch, names).items()}

        with jit.quiet():
            return self._computed(inputs, found)


def moved(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module to a device.

    Raises:
        RuntimeUnavailableError: the move fails because of the device.
    """
    try:
        return module.to(device)
    except RuntimeError as error:
        fault = device_fault(error, "torch") if device.type == "cuda" else None
        raise fault or error from error


def need_cuda(runtime: str, number: int = 0) -> torch.device:
    """Return a CUDA device that torch sees.

    Args:
        runtime: name of the runtime, for messages.
        number: number of the device.

    Raises:
        RuntimeUnavailableError: there is none, or torch was built without CUDA.
    """
    if not torch.cuda.is_available():
        reason = "sees no CUDA device" if torch.version.cuda else "was built without CUDA"
        raise RuntimeUnavailableError(
            f"{runtime}: torch {torch.__version__} {reason}; run it on a machine with an NVIDIA device and "
            "pip install torch from https://pytorch.org/get-started/locally with CUDA"
        )
    if number >= (count := torch.cuda.device_count()):
        raise RuntimeUnavailableError(
            f"{runtime}: there is no CUDA device {number}; torch sees {count}, counted from 0, and only "
            "among those in CUDA_VISIBLE_DEVICES"
        )
    return torch.device("cuda", number)
