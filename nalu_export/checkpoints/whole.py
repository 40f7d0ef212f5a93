"""Finds the module that is meant in a file of pickled modules. It is used as it is, not rebuilt from its keys."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.checkpoints.fitting import some
from nalu_export.checkpoints.holding import MAX_WRAPPERS, weights_in
from nalu_export.errors import InputError, option
from nalu_export.io.text import short


def modules_in(loaded: Any, path: str = "", depth: int = 0) -> dict[str, nn.Module]:
    """Return the modules in an unpickled object, by the keys that lead to them; ``""`` if the object is a module."""
    if isinstance(loaded, nn.Module):
        return {path: loaded}
    if depth == MAX_WRAPPERS or not isinstance(loaded, (dict, list, tuple)):
        return {}
    found: dict[str, nn.Module] = {}
    for key, value in loaded.items() if isinstance(loaded, dict) else enumerate(loaded):
        if isinstance(key, (str, int)):
            found |= modules_in(value, f"{path}.{key}" if path else str(key), depth + 1)
    return found


def chosen(
    modules: Mapping[str, nn.Module], payload: Any, prefix: str | None
) -> tuple[nn.Module, tuple[str, ...]] | None:
    """Return the module that is the model of a file, with notes; ``None`` if the model is a dict of tensors.

    Args:
        modules: modules in the file, see :func:`modules_in`.
        payload: the content of the file, with modules as their state_dicts.
        prefix: path of the module or of a part of it, if the user gave one.

    Raises:
        InputError: there are several modules, or nothing under the prefix.
    """
    if prefix is not None:
        return _under(modules, prefix.strip("."))
    # A loss function is a module as well. A module without tensors is not the model of a file.
    full = {path: module for path, module in modules.items() if path == "" or module.state_dict()}
    states = [held for held in weights_in(payload) if held.path not in modules]
    if not full and states:
        return None
    candidates = full or dict(modules)
    if not candidates:
        return None
    (path, module), *others = candidates.items()
    beside = [held.path for held in states if not _is_its_own(module, held.state)]
    if beside or any(other is not module for _, other in others):
        also = f" and weights under {some(beside)}" if beside else ""
        which = option("prefix", path)
        raise InputError(f"holds modules under {some(list(candidates))}{also}; say which module with {which}")
    return module, (f"the model was read from {short(path)}",) if path else ()


def _is_its_own(module: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Return whether a state_dict beside a module is that of the module."""
    own = module.state_dict()
    return own.keys() == state.keys() and all(
        isinstance(value, Tensor) and torch.equal(value, state[name]) for name, value in own.items()
    )


def _under(modules: Mapping[str, nn.Module], prefix: str) -> tuple[nn.Module, tuple[str, ...]] | None:
    """Return a module by its key, or a part of a module; a prefix without a key means a part of the only module."""
    for path in sorted(modules, key=len, reverse=True):
        keyed = prefix == path or prefix.startswith(f"{path}.")
        if path and not keyed and len(modules) > 1:
            continue
        rest = prefix[len(path) :].strip(".") if path and keyed else prefix
        try:
            return modules[path].get_submodule(rest), (f"the model was read from {short(prefix)}",)
        except AttributeError as error:
            there = [name for name, _ in modules[path].named_children()]
            raise InputError(f"has no module under {short(prefix)}; it has {some(there)}") from error
    return None


def evaluating(module: nn.Module) -> None:
    """Put a module into ``eval()`` mode, even if its class refuses or overrides ``eval()``."""
    try:
        module.eval()
    except Exception:  # noqa: BLE001
        # A module of torch.export refuses eval(), and a user's method of the name `train` may do anything.
        for part in module.modules():
            part.training = False
