"""From a path to a module with its weights, whatever kind of file it is."""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.checkpoints.container import unpack
from nalu_export.checkpoints.native import is_native, read_native
from nalu_export.checkpoints.state_dict import recognise
from nalu_export.errors import InputError, first_line
from nalu_export.files import read_bytes
from nalu_export.nn.parts import arithmetic_layers
from nalu_export.text import short

# Weights that several layers share are written once, so a file may hold less than its model; not a hundredth of it.
MAX_INFLATION = 64

Factory = nn.Module | Callable[[], nn.Module] | str


@dataclass(frozen=True)
class Checkpoint:
    """A model that was read from a file.

    Attributes:
        model: in ``eval()`` mode, on the CPU.
        sha256: of the file.
        notes: what had to be assumed, one line each.
    """

    model: nn.Module
    sha256: str
    notes: tuple[str, ...]


def load(path: str | os.PathLike[str], model: Factory | None = None) -> nn.Module:
    """Read a model from ``path`` without running anything that is in the file.

    Args:
        path: a file of :func:`nalu_export.save`, or a state_dict of a NAC or NALU stack in this package's naming.
        model: for a model with layers of your own: a module, a function that gives one, or
            ``"package.module:function"``; the weights go into it.

    Returns:
        The module, in ``eval()`` mode, on the CPU.

    Raises:
        InputError: the file is missing, damaged, holds code, or does not fit; one line says what and what to do.
    """
    return read_checkpoint(path, model).model


def read_checkpoint(path: str | os.PathLike[str], model: Factory | None = None) -> Checkpoint:
    """As :func:`load`, with the file's hash and what had to be assumed."""
    data = read_bytes(Path(path))
    try:
        module, state, notes = _read(unpack(data), model)
        _refuse_inflated(state, len(data))
        _assign(module, state)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error
    return Checkpoint(module.eval(), hashlib.sha256(data).hexdigest(), notes)


def _read(payload: Any, factory: Factory | None) -> tuple[nn.Module, dict[str, Tensor], tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    module = None if factory is None else from_factory(factory)
    if is_native(payload):
        described, payload = (None, payload.get("state_dict")) if module is not None else read_native(payload)
        module = described if module is None else module
        if module is None:
            raise InputError("does not describe its model; give --model package.module:factory to build it")
    state = _checked_state(payload)
    if module is None:
        module = recognise(state)
        eps = {layer.eps for layer in arithmetic_layers(module).values() if hasattr(layer, "eps")}
        if eps:
            notes = (f"a state_dict does not store eps; {eps.pop()} is assumed",)
    return module, state, notes


def from_factory(factory: Factory) -> nn.Module:
    """The module that the user's own code builds.

    Raises:
        InputError: the text is not ``package.module:function``, the import fails, or it gives something else.
    """
    made: Any = factory
    name = factory if isinstance(factory, str) else getattr(factory, "__name__", type(factory).__name__)
    try:
        if isinstance(factory, str):
            made = _imported(factory)
        if not isinstance(made, nn.Module):
            made = made()
    except InputError:
        raise
    except Exception as error:
        # The user's code may raise anything; what it raised is what they need to see.
        raise InputError(f"--model {name}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(made, nn.Module):
        raise InputError(f"--model {name}: gives a {type(made).__name__}, not a torch.nn.Module")
    return made


def _imported(factory: str) -> Any:
    module, _, attribute = factory.partition(":")
    if not module or not attribute:
        raise InputError(f"--model is {factory!r}; expected package.module:factory")
    sys.path.insert(0, os.getcwd())  # a console script does not have the working directory on its path
    try:
        return getattr(importlib.import_module(module), attribute)
    finally:
        sys.path.pop(0)


def _checked_state(payload: Any) -> dict[str, Tensor]:
    if not isinstance(payload, dict):
        raise InputError(f"holds a {type(payload).__name__}; expected a state_dict or a file of nalu_export.save")
    for key, value in payload.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise InputError(
                f"has {short(key)} of type {type(value).__name__}; a state_dict has names and tensors only"
            )
        if value.is_complex():
            raise InputError(f"has {short(key)} as a complex tensor; expected a dense floating point one")
        if value.is_meta or value.is_quantized or value.is_nested or value.layout is not torch.strided:
            raise InputError(
                f"has {short(key)} as a meta, quantised, nested or sparse tensor; expected a dense floating point one"
            )
    return dict(payload)


def _refuse_inflated(state: dict[str, Tensor], size: int) -> None:
    """Tensors may share or repeat their bytes in the file, so that a small one asks for terabytes of memory."""
    claimed = sum(value.nbytes for value in state.values())
    if claimed > MAX_INFLATION * size:
        raise InputError(
            f"claims {claimed:,} bytes of tensors in a file of {size:,}; save them with .contiguous(), not expanded"
        )


def _assign(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Put the tensors into the module after comparing names, shapes and kinds, so that the first misfit is named."""
    wanted = module.state_dict()
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        parts = [f"lacks {_some(missing)}"] if missing else []
        parts += [f"has {_some(extra)} that the model has not"] if extra else []
        raise InputError(" and ".join(parts) + "; are the weights from this model?")
    for name, target in wanted.items():
        value = state[name]
        if value.shape != target.shape:
            expects = f"the model expects {tuple(target.shape)}"
            raise InputError(f"has {short(name)} of shape {tuple(value.shape)}; {expects}")
        if value.is_floating_point() != target.is_floating_point():
            expected = "floating point" if target.is_floating_point() else str(target.dtype).removeprefix("torch.")
            raise InputError(f"has {short(name)} as {str(value.dtype).removeprefix('torch.')}; expected {expected}")
    module.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)


def _some(names: list[str]) -> str:
    shown = ", ".join(map(short, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
