"""Traces a module into a flat graph with ``torch.export``. It takes a second and follows code that fx cannot."""

import contextlib
import inspect
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.graph.example import Example
from nalu_export.graph.interface import arguments_with, as_tensor
from nalu_export.graph.module import LazyGraphModule
from nalu_export.graph.places import calls_of, note, place_in
from nalu_export.graph.structure import leaves
from nalu_export.process.locks import TRACING, own_warnings

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')
_TORCH = inspect.getfile(torch).removesuffix("__init__.py")
_LOGGERS = ("torch", "torch.onnx", "torch.export", "torch._export", "torch._subclasses", "torch.fx", "onnxscript")
# Assertions of a program about its input; they hold for one type and one device only.
_CHECKS = ("_guards_fn", "_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain")


def exported(model: nn.Module, example: Example) -> fx.GraphModule:
    """Return the graph of ``model`` in ATen calls, for any batch size and, where possible, any size of the free axes.

    The graph takes the tensors of a call as positional arguments and returns one result or a tuple of results.

    Args:
        model: a copy in ``eval()`` mode that nothing else runs; its ``forward`` is replaced.
        example: a call of the model.

    Raises:
        Exception: whatever ``torch.export`` raises for code that it cannot follow.
    """
    forward = model.forward

    def called(*tensors: Tensor) -> tuple[Any, ...]:
        args, kwargs = arguments_with(example.arguments, tensors)
        return tuple(as_tensor(leaf) for _, leaf in leaves(forward(*args, **kwargs)) if leaf is not None)

    free = tuple(
        {0: torch.export.Dim.DYNAMIC} | dict.fromkeys(port.free, torch.export.Dim.AUTO) for port in example.inputs
    )
    # Replace forward instead of wrapping the module: a wrapper would change the paths.
    model.forward = called
    # torch.export prints its graph to stderr when it fails.
    with TRACING, quiet(), contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
        program = torch.export.export(model, example.tensors, dynamic_shapes=(free,), strict=False)
        if any(map(_changes_something, program.graph.nodes)):
            # This removes operations in place and leaves every other call as it is.
            program = program.run_decompositions({})
        return _flat(program.module(check_guards=False), model)


def _flat(module: fx.GraphModule, model: nn.Module) -> fx.GraphModule:
    """Build a plain graph module: one node for each call, with its place in the source."""
    types = {path: type(part) for path, part in model.named_modules()}
    graph = fx.Graph()
    known: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if any(str(node.target).rpartition("aten.")[2].startswith(check) for check in _CHECKS):
            continue
        if node.op == "output":
            results = node.args[0]
            single = results[0] if isinstance(results, (tuple, list)) and len(results) == 1 else results
            graph.output(fx.node.map_arg(single, known.__getitem__))
            continue
        known[node] = graph.node_copy(node, known.__getitem__)
        known[node].meta = {}
        note(known[node], calls_of(node.meta, types), _place(node))
    return LazyGraphModule(module, graph, type(model).__name__)


def _changes_something(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _place(node: fx.Node) -> Any:
    """Return the innermost line in a ``forward`` outside torch."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [(file, int(line)) for file, line, name in frames if name == "forward" and not file.startswith(_TORCH)]
    if not own:
        return None
    file, line = own[-1]
    return place_in(file, line, 0)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide torch's log lines and warnings about the export from the user."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with own_warnings(ignored=True):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
