"""Traces a module into a flat graph with ``torch.fx``. It takes milliseconds and keeps names and source lines."""

import re
import sys
from types import FrameType
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils import parametrize

from nalu_export.graph.evaluation import attribute
from nalu_export.graph.example import Example
from nalu_export.graph.interface import arguments_with
from nalu_export.graph.module import LazyGraphModule
from nalu_export.graph.places import Place, calls_of, note, place_of_frame
from nalu_export.graph.structure import leaves
from nalu_export.process.locks import TRACING

# Layers of torch whose forward is a few primitives: the tracer enters them. Any other layer of torch is one call.
TRANSPARENT: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Identity,
    nn.Flatten,
    nn.Unflatten,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.Tanhshrink,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.RReLU,
    nn.ELU,
    nn.SiLU,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.Softplus,
    nn.Softsign,
)


def traced(model: nn.Module, example: Example) -> fx.GraphModule:
    """Return the graph of ``model``: the tracer enters user modules, and layers of torch stay one call each.

    The graph takes the tensors of a call as positional arguments and returns one result or a tuple of results.

    Args:
        model: a copy that nothing else runs; it is not changed, except for attributes that hooks of torch set.
        example: a call of the model.

    Raises:
        Exception: whatever ``forward`` raises on a symbolic input.
    """
    with TRACING:
        tracer = _Tracer(model, example)
        graph = tracer.trace(model)
    for node in graph.nodes:
        # forward stored a Proxy in an attribute. Running the graph would then add nodes to the graph.
        if node.op == "get_attr" and isinstance(attribute(tracer.root, str(node.target)), fx.Proxy):
            raise ValueError(f"forward assigns to {node.target}")
    return LazyGraphModule(tracer.root, graph, type(model).__name__)


def is_parametrised(module: nn.Module) -> bool:
    """Return whether each forward computes a weight of the module, by ``torch.nn.utils.parametrize`` or an old hook."""
    return parametrize.is_parametrized(module) or any(hasattr(hook, "compute_weight") for hook in _hooks(module))


def _hooks(module: nn.Module) -> list[Any]:
    return list(module._forward_pre_hooks.values())


class _Tracer(fx.Tracer):
    """Enters every module that is not a layer of torch, and records where each node comes from."""

    # Trace buffers like parameters: an ε may be a buffer.
    proxy_buffer_attributes = True

    def __init__(self, root: nn.Module, example: Example) -> None:
        super().__init__()
        self._example = example
        self._own = {id(module) for module in root.modules()}
        self._types = {path: type(module) for path, module in root.named_modules()}
        self._homes: dict[int, tuple[str, dict[str, Any], str]] = {}
        for named in (root.named_parameters(), root.named_buffers()):
            for name, tensor in named:
                path, _, leaf = name.rpartition(".")
                module = root.get_submodule(path)
                table = module._parameters if leaf in module._parameters else module._buffers
                self._homes.setdefault(id(tensor), (name, table, leaf))
        self._frames: dict[int, FrameType] = {}
        self._top = root

    def create_args_for_root(
        self, root_fn: Any, is_module: bool, concrete_args: dict[str, Any] | tuple[Any, ...] | None = None
    ) -> tuple[Any, list[Any]]:
        """Make the tensors of the example inputs; other arguments keep their value in the example, or their default."""
        del is_module, concrete_args
        names = [re.sub(r"\W", "_", f"x_{port.argument}") for port in self._example.inputs]
        inputs = [self.create_proxy("placeholder", name, (), {}) for name in names]

        def called(root: nn.Module, *tensors: Any) -> Any:
            args, kwargs = arguments_with(self._example.arguments, tensors)
            found = [leaf for _, leaf in leaves(root_fn(root, *args, **kwargs)) if leaf is not None]
            return found[0] if len(found) == 1 else tuple(found)

        return called, [self.root, *inputs]

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        """Look the parameter up in a dictionary; the base class scans all parameters for each access."""
        name, table, leaf = self._homes.get(id(attr_val), ("", {}, ""))
        # Read the table, not the attribute of the module: that would call this method again.
        if table.get(leaf) is not attr_val or attr_val is None:
            return super().getattr(attr, attr_val, parameter_proxy_cache)
        if name not in parameter_proxy_cache:
            parameter_proxy_cache[name] = self.create_proxy("get_attr", name, (), {})
        return parameter_proxy_cache[name]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if is_parametrised(m) or type(m) in TRANSPARENT:
            return False
        return isinstance(m, torch.jit.ScriptModule) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Another thread may run its own module while this one traces.
        if id(m) not in self._own:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        note(node, calls_of(node.meta, self._types), self._place())
        return node

    def _place(self) -> Place | None:
        """Of the innermost ``forward`` of a user's module, or of a layer of ours, that is running now.

        fx can record the stack of each node, but as text: it tells neither whose ``forward`` it is nor one run of it
        from the next, and takes a millisecond a node, three times as long as all else of a trace.
        """
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            owner = frame.f_locals.get("self") if frame.f_code.co_name == "forward" else None
            if isinstance(owner, nn.Module) and id(owner) in self._own and not _is_torch(owner):
                # Keep the frame alive, so that no later frame gets the same id.
                self._frames[id(frame)] = frame
                return place_of_frame(frame)
            frame = frame.f_back
        return None


def _is_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.")
