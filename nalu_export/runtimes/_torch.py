"""What the runtimes inside PyTorch share: eager and TorchScript sessions on a device."""

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nalu_export import _jit
from nalu_export.errors import InputError, RuntimeUnavailableError, first_line
from nalu_export.graph.structure import leaves
from nalu_export.runtimes._cuda import device_facts, tf32
from nalu_export.runtimes._script_values import script_values
from nalu_export.runtimes.base import Arrays, RunOptions, Session


class _TorchSession(Session):
    """A module on a device.

    Args:
        module: already on it.
        what: ``eager`` or ``TorchScript``.
        device: ``cpu`` or ``cuda``.
        options: see :class:`RunOptions`; TF32 is set for each run and put back after it. The threads are the caller's,
            because torch has one number of them for the whole process.
    """

    def __init__(self, module: Callable[..., object], what: str, device: str, options: RunOptions) -> None:
        self._module, self._device, self._tf32 = module, torch.device(device), options.tf32
        self._what = "torch" if what == "eager" else what
        library = f"torch {torch.__version__}"
        self.details = {"library": library, "device": "CPU", "provider": what, "options": ""}
        self.where = f"{library}, {what}, CPU"
        if device == "cuda":
            facts = {**device_facts(), "cuda": str(torch.version.cuda)}
            flag = int(options.tf32)
            self.details |= {**facts, "options": f"cudnn.allow_tf32={flag}, matmul.allow_tf32={flag}"}
            state = "on" if options.tf32 else "off"
            self.where = (
                f"{library}, {what}, CUDA {facts['cuda']}, {facts['device']}, driver {facts['driver']}, TF32 {state}"
            )
        self.details["threads"] = str(torch.get_num_threads())

    def run(self, inputs: Arrays) -> Arrays:
        """See :meth:`Session.run`."""
        results = [leaf for _, leaf in leaves(self._computed(inputs, self._module)) if leaf is not None]
        for result in results:
            if not isinstance(result, Tensor):
                raise InputError(f"{self._what}: the module returns {type(result).__name__}, not a tensor")
        return [result.detach().cpu().numpy() for result in results]

    def _computed(self, inputs: Arrays, compute: Callable[..., object]) -> object:
        try:
            with torch.no_grad(), self._precision():
                return compute(*(torch.from_numpy(array).to(self._device) for array in inputs))
        except (RuntimeError, IndexError) as error:
            raise InputError(f"{self._what}: {first_line(error)}") from error

    def _precision(self) -> AbstractContextManager[None]:
        return tf32(self._tf32) if self._device.type == "cuda" else nullcontext()


class EagerSession(_TorchSession):
    """The model itself in float32; a copy of it, so that training goes on elsewhere."""

    def __init__(self, model: nn.Module, device: str, options: RunOptions) -> None:
        super().__init__(copy.deepcopy(model).eval().to(device), "eager", device, options)


class ScriptSession(_TorchSession):
    """A TorchScript archive."""

    def __init__(self, data: bytes, runtime: str, device: str, options: RunOptions) -> None:
        try:
            self._script = _jit.load(data).eval().to(device)
        except RuntimeError as error:
            raise InputError(f"{runtime} refuses the file: {first_line(error)}") from error
        super().__init__(self._script, "TorchScript", device, options)

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """See :meth:`Session.values` and :mod:`nalu_export.runtimes._script_values`."""
        found: dict[str, Tensor] = {}
        with _jit.quiet():
            self._computed(inputs, lambda *batch: found.update(script_values(self._script, batch, names)))
        return {name: value.detach().cpu().numpy() for name, value in found.items()}


def need_cuda(runtime: str) -> None:
    """Refuse to go on without a CUDA device that torch sees.

    Raises:
        RuntimeUnavailableError: there is none, or torch was built without CUDA.
    """
    if not torch.cuda.is_available():
        reason = "sees no CUDA device" if torch.version.cuda else "was built without CUDA"
        raise RuntimeUnavailableError(
            f"{runtime}: torch {torch.__version__} {reason}; run it on a machine with an NVIDIA device and "
            "pip install torch from https://pytorch.org/get-started/locally with CUDA"
        )
