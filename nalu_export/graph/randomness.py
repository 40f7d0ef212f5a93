"""Refuses a model that gives other outputs when it runs again: no file can hold one that is random in ``eval()``."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.errors import InputError
from nalu_export.graph.evaluation import run
from nalu_export.graph.example import Example
from nalu_export.graph.exported import exported
from nalu_export.graph.interface import Called
from nalu_export.graph.spelling.describe import callable_of, source_of
from nalu_export.graph.tracing import traced
from nalu_export.modules.copying import copied


def refuse_random(model: nn.Module, example: Example) -> None:
    """Run the model twice and compare the results.

    Raises:
        InputError: the results differ; the message names the call and the user's line, and says whether torch's random
            numbers are the cause.
        Exception: whatever the model raises on the example.
    """
    work = Called(copied(model), example.arguments)
    with torch.no_grad():
        first, second = work(*example.tensors), work(*example.tensors)
    if alike(first, second):
        return
    where = _drawn(model, example)
    why = "draws random numbers" if _by_torch(model, example) else "depends on what ran before"
    raise InputError(
        f"{type(model).__name__} gives different outputs when it runs again: {where} {why}; it has to be "
        "deterministic in eval()"
    )


def _by_torch(model: nn.Module, example: Example) -> bool:
    """Return whether the results are equal if torch's generator starts from the same state."""
    work, results = Called(copied(model), example.arguments), []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for _ in range(2):
            torch.manual_seed(0)
            results.append(work(*example.tensors))
    return alike(*results)


def _drawn(model: nn.Module, example: Example) -> str:
    """Return the first call whose result differs in a second run."""
    for how in ("fx", "export"):
        try:
            flat = traced(copied(model), example) if how == "fx" else exported(copied(model), example)
            first, second = run(flat, *example.tensors), run(flat, *example.tensors)
        except Exception:  # noqa: BLE001  forward is user code; it is already known to be random
            continue
        for node, value in first.items():
            if not alike(value, second[node]):
                return called(flat, node)
    return "something in its forward"


def called(flat: fx.GraphModule, node: fx.Node) -> str:
    """Return the text ``torch.nn.functional.dropout (net.py, line 12)`` or ``BatchNorm1d features.1``."""
    if node.op == "call_module":
        return f"{type(flat.get_submodule(str(node.target))).__name__} {node.target}{source_of(node)}"
    return f"{callable_of(node)}{source_of(node)}"


def alike(first: Any, second: Any) -> bool:
    """Return whether two results are exactly equal; a NaN equals a NaN."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.shape == second.shape and bool(((first == second) | ((first != first) & (second != second))).all())
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(alike(first[key], second[key]) for key in first)
    if isinstance(first, (tuple, list)) and isinstance(second, (tuple, list)):
        return len(first) == len(second) and all(map(alike, first, second))
    return True
