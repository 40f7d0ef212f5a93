"""Copies a module so that the copy can be traced, cast and run without changing the original."""

import contextlib
import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from nalu_export.checkpoints.whole import evaluating
from nalu_export.errors import InputError, first_line
from nalu_export.io.text import plain, printable
from nalu_export.modules.copying import Detaching
from nalu_export.source._refusals import place_of, refuse_non_finite, refuse_what_holds_no_numbers, tensors_of
from nalu_export.source._wrappers import unwrapped

# These hooks do not affect values; with an old-style one torch searches a traced output for a tensor forever.
_BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")


def copied(model: nn.Module, *, finite: bool = True) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a deep copy in ``eval()`` mode, on the CPU, without gradients and backward hooks, and notes.

    The copy is float64 if any tensor of the model is, else float32: both hold every shorter type. The model keeps its
    mode, gradients and hooks. Wrappers around parts of it are left out of the copy.

    Args:
        model: any module.
        finite: whether to raise for values that are not finite; a caller that only inspects values passes False.

    Raises:
        InputError: it holds something else than dense tensors of numbers, or values that are not finite; the text names
            where.
    """
    refuse_what_holds_no_numbers(model)
    kinds = {value.dtype for _, value in tensors_of(model) if value.is_floating_point()}
    wide = torch.float64 if torch.float64 in kinds else torch.float32
    subject, notes = _deep_copy(model, Detaching(kinds - {wide}, wide))
    for module in subject.modules():
        for name in _BACKWARD_HOOKS:
            module.__dict__[name] = OrderedDict()
    evaluating(subject)
    # Each call alone, not chained: a module that overrides one of them may forget to return itself.
    subject.requires_grad_(False)
    subject.cpu()
    if finite:
        refuse_non_finite(subject)
    # Not to(), which treats complex tensors as floating-point ones.
    (subject.double if wide == torch.float64 else subject.float)()
    if kinds - {torch.float32, torch.float64}:
        names = ", ".join(sorted(_name(kind) for kind in kinds - {torch.float32, torch.float64}))
        notes = (*notes, f"weights in {names} were converted to {_name(wide)}")
    return subject, notes


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _deep_copy(model: nn.Module, mode: Detaching) -> tuple[nn.Module, tuple[str, ...]]:
    with contextlib.suppress(Exception):
        return _copy_with(model, mode, {})
    # A module may hold locks, files, generators and other objects that cannot be copied.
    kept = _cannot_be_copied(model)
    try:
        found, notes = _copy_with(model, mode, {id(value): value for value in kept.values()})
    except Exception as error:
        what = printable(f"{type(error).__name__}: {first_line(error)[:200]}")
        raise InputError(f"{type(model).__name__} cannot be copied: {what}; give a module that can") from error
    more = (f"{path} ({type(value).__name__}) cannot be copied; the copy shares it" for path, value in kept.items())
    return found, (*notes, *more)


def _copy_with(model: nn.Module, mode: Detaching, memo: dict[int, Any]) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a deep copy in which the module inside a wrapper replaces the wrapper."""
    notes = []
    with mode:
        # Inner wrappers first, so that the copies of outer modules contain them.
        for path, module in reversed(list(model.named_modules())):
            inner, found = unwrapped(module)
            if found:
                memo[id(module)] = copy.deepcopy(inner, memo)
                notes.append(f"{plain(path)}: {found[0]}" if path else found[0])
            if getattr(module, "_compiled_call_impl", None) is not None:
                notes.append(f"{place_of(path, module)}: torch.compile was removed")
        return copy.deepcopy(model, memo), tuple(reversed(notes))


def _cannot_be_copied(model: nn.Module) -> dict[str, Any]:
    """Return the attributes that deepcopy refuses, by path."""
    found = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            # An attribute may hold a part of the model, as a bound method does; that part is not copied here.
            parts = {id(part): part for part in model.modules()}
            try:
                with Detaching(set(), torch.float32):
                    copy.deepcopy(value, parts)
            except Exception:  # noqa: BLE001  a user's class may raise anything
                found[plain(f"{path}.{name}".lstrip("."))] = value
    return found
