"""From a module to its graph of primitives, by ``torch.fx``: milliseconds, and no ``torch.export``."""

from typing import Any

import torch
from torch import fx, nn

from nalu_export.errors import UnsupportedLayerError, first_line
from nalu_export.graph.naming import Places, label
from nalu_export.nn import ArithmeticLayer
from nalu_export.primitives import BY_FUNCTION, BY_METHOD, PRIMITIVES, Primitive


class _ArithmeticTracer(fx.Tracer):
    """Looks inside arithmetic layers and whatever contains them; everything else stays one opaque call."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        layers = [module for module in root.modules() if isinstance(module, ArithmeticLayer)]
        self._inside = {id(part) for layer in layers for part in layer.modules()}
        self._places = Places(root)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        self._places.mark(node)
        return node

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        del module_qualified_name
        return id(m) not in self._inside and not any(isinstance(part, ArithmeticLayer) for part in m.modules())


def trace(layer: nn.Module) -> fx.GraphModule:
    """The graph of a module that is arithmetic all through.

    Returns:
        A graph module whose every ``call_function`` is the function of a primitive with positional arguments only,
        and whose parameters keep the names of ``layer``'s state_dict.

    Raises:
        UnsupportedLayerError: ``forward`` does something that has no primitive, or cannot be traced.
    """
    graph_module = _symbolic(layer)
    for node in graph_module.graph.nodes:
        if node.op in ("call_function", "call_method", "call_module") and primitive_of(node) is None:
            raise UnsupportedLayerError(
                f"{type(layer).__name__} calls {_spelling(node)}, which is not a primitive of the arithmetic graph; "
                f"write it with: {', '.join(name for name in PRIMITIVES if name != 'cast')}"
            )
    inputs = [node for node in graph_module.graph.nodes if node.op == "placeholder"]
    (result,) = next(node for node in graph_module.graph.nodes if node.op == "output").args
    if len(inputs) != 1 or not isinstance(result, fx.Node):
        raise UnsupportedLayerError(
            f"{type(layer).__name__} takes {len(inputs)} inputs and returns {type(result).__name__}; "
            "an arithmetic layer takes one tensor and returns one tensor"
        )
    return graph_module


def trace_model(model: nn.Module) -> fx.GraphModule:
    """The graph of any model: primitives where it is arithmetic, opaque calls elsewhere.

    Raises:
        UnsupportedLayerError: the code between the arithmetic layers cannot be traced (it branches on values).
    """
    return _symbolic(model)


def primitive_of(node: fx.Node) -> Primitive | None:
    """The primitive that a node of a traced graph stands for, ``None`` for anything else."""
    if node.op != "call_function" or not callable(node.target):
        return None
    primitive = BY_FUNCTION.get(node.target)
    return primitive if primitive is not None and primitive.function is node.target else None


def _symbolic(module: nn.Module) -> fx.GraphModule:
    tracer = _ArithmeticTracer(module)
    try:
        graph = tracer.trace(module)
    except Exception as error:
        # forward is user code: whatever it raises on a symbolic input means that it cannot be traced.
        raise UnsupportedLayerError(f"{type(module).__name__} cannot be traced: {first_line(error)}") from error
    _canonicalise(graph)
    label(graph)
    return fx.GraphModule(tracer.root, graph, type(module).__name__)


def _canonicalise(graph: fx.Graph) -> None:
    for node in graph.nodes:
        primitive = _spelled(node)
        bound = primitive.bind(node.args, node.kwargs) if primitive is not None else None
        if primitive is not None and bound is not None:
            node.op, node.target = "call_function", primitive.function
            node.args, node.kwargs = bound, {}
    for node in reversed(graph.nodes):
        if not node.users and (node.op == "get_attr" or primitive_of(node) is not None):
            graph.erase_node(node)


def _spelled(node: fx.Node) -> Primitive | None:
    if node.op == "call_function" and callable(node.target):
        return BY_FUNCTION.get(node.target)
    if node.op == "call_method" and isinstance(node.target, str):
        return BY_METHOD.get(node.target)
    return None


def _spelling(node: fx.Node) -> str:
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    if node.op == "call_module":
        return f"the module {node.target}"
    target: Any = node.target
    arguments = ", ".join(sorted(node.kwargs))
    name = getattr(target, "__name__", str(target))
    module = getattr(target, "__module__", None) or "torch"
    module = "torch" if module.startswith(("torch._C", "_operator")) else module
    return f"{module}.{name}" + (f" with {arguments}" if arguments else "")


def constant(graph_module: fx.GraphModule, target: str) -> torch.Tensor:
    """The tensor that a ``get_attr`` node of ``graph_module`` reads."""
    path, _, name = target.rpartition(".")
    value = getattr(graph_module.get_submodule(path), name)
    assert isinstance(value, torch.Tensor)
    return value
