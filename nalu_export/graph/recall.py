"""Captures each structure of our own layers once a process: the next model gets the same graph with its own weights.

Models that differ in their weights alone, as the checkpoints of a sweep do, have the same graph, and a capture takes
longer than all else of an unchecked export. It holds for layers of this package alone, because their ``forward`` does
not look at weights; code of a user may.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace

from torch import fx, nn

from nalu_export.graph.capture import ModelGraph, proved
from nalu_export.graph.cost import refuse_costly
from nalu_export.graph.evaluation import attribute, results_of
from nalu_export.graph.example import Example
from nalu_export.graph.interface import Called, Interface
from nalu_export.graph.module import graph_module_of, targets_of
from nalu_export.graph.subgraphs import Subgraph
from nalu_export.nn import ArithmeticLayer

# Structures that are kept.
MOST = 16
_OWN = ArithmeticLayer.__module__.rpartition(".")[0] + "."
# What decides nothing: tables of parameters, buffers and modules have keys of their own.
_TABLES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")


@dataclass(frozen=True)
class _Structure:
    """A captured graph without the tensors of the model that it was captured from.

    Attributes:
        interface: inputs and outputs of the model.
        flat: graph of the model.
        whole: the subgraph that is the model, with an empty module.
        arithmetic: graph of that subgraph.
    """

    interface: Interface
    flat: fx.Graph
    whole: Subgraph
    arithmetic: fx.Graph


_KEPT: "OrderedDict[Hashable, _Structure]" = OrderedDict()


def remember(graph: ModelGraph, example: Example) -> None:
    """Keep the structure of a captured model, if the model consists of our own layers and is one subgraph."""
    key = _key(graph.module, example)
    whole = graph.whole
    if key is None or whole is None or len(graph.subgraphs) != 1 or graph.how != "torch.fx":
        return
    held = {name for name, _ in (*graph.module.named_parameters(), *graph.module.named_buffers())}
    flat, arithmetic = graph.flat.graph, whole.module.graph
    if not held.issuperset([*targets_of(flat), *targets_of(arithmetic)]):
        return
    _KEPT[key] = _Structure(graph.interface, flat, replace(whole, module=graph_module_of({}, fx.Graph())), arithmetic)
    flat.owning_module = arithmetic.owning_module = None  # which hold the tensors
    while len(_KEPT) > MOST:
        _KEPT.popitem(last=False)


def recalled(model: nn.Module, example: Example) -> ModelGraph | None:
    """Return the graph of a model whose structure was captured before; ``None`` if there is none that computes it.

    Raises:
        InputError: one run of the model takes too much.
    """
    key = _key(model, example)
    found = None if key is None else _KEPT.get(key)
    if key is None or found is None:
        return None
    _KEPT.move_to_end(key)
    refuse_costly(Called(model, example.arguments), example.tensors)
    flat = _with_tensors(found.flat, model)
    if not proved(model, flat, example):
        return None
    whole = replace(found.whole, module=_with_tensors(found.arithmetic, model))
    result = results_of(flat, *example.tensors)
    return ModelGraph(model, found.interface, flat, None, {"": whole}, "torch.fx", example.tensors, result)


def _with_tensors(graph: fx.Graph, model: nn.Module) -> fx.GraphModule:
    found = graph_module_of({target: attribute(model, target) for target in targets_of(graph)}, graph)
    graph.owning_module = None
    return found


def _key(model: nn.Module, example: Example) -> Hashable | None:
    """Return what decides the graph of a model; ``None`` if code or objects of others may take part."""
    if not _is_positional(example):
        return None
    modules: list[Hashable] = []
    for path, module in model.named_modules(remove_duplicate=False):
        state = _state(module)
        if state is None:
            return None
        modules.append((path, type(module), type(module).forward, state))
    tensors: dict[int, int] = {}
    named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    # Two names of one tensor are one constant.
    values = tuple(
        (name, value.dtype, tuple(value.shape), tensors.setdefault(id(value), len(tensors))) for name, value in named
    )
    inputs = tuple((port.name, port.argument, port.dtype, port.shape, port.range) for port in example.inputs)
    shapes = tuple((x.dtype, tuple(x.shape)) for x in example.tensors)
    names = None if example.output_names is None else tuple(example.output_names)
    return tuple(modules), values, inputs, shapes, names


def _state(module: nn.Module) -> Hashable | None:
    """Return the plain attributes of one of our layers, or of a list of them; ``None`` if it has others, or hooks."""
    kind = type(module)
    if not (kind is nn.ModuleList or (kind.__module__ + ".").startswith(_OWN)):
        return None
    found: list[Hashable] = []
    for name, value in sorted(vars(module).items()):
        if name in _TABLES:
            continue
        if name.startswith("_"):
            if value and name not in ("_version", "_is_full_backward_hook"):
                return None  # a hook
        elif _is_plain(value):
            found.append((name, repr(value)))  # 0.0 and −0.0 are equal, and so are 1 and True
        else:
            return None
    return tuple(found)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _is_positional(example: Example) -> bool:
    """Return whether the model is called with its tensors in order and nothing else."""
    args, kwargs = example.arguments
    return not kwargs and [getattr(place, "number", None) for place in args] == list(range(len(example.tensors)))
