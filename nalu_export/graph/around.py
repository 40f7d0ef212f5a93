"""What stands before and after an arithmetic subgraph, in words: a file that holds it alone says so."""

import operator
from dataclasses import dataclass

import torch
from torch import fx

from nalu_export.graph.capture import ModelGraph
from nalu_export.graph.naming import part_of
from nalu_export.graph.places import stack_of
from nalu_export.graph.spelling.canonical import primitive_of

# Keywords that say nothing of what is computed.
_NO_MEANING = ("pin_memory", "device", "dtype", "layout")


@dataclass(frozen=True)
class Around:
    """The surroundings of a subgraph.

    Attributes:
        before: what the model applies to its input to get that of the part, in order.
        after: what it applies to the part's output; both are names of modules and functions.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def around(model: ModelGraph, name: str) -> Around:
    """The surroundings of the arithmetic subgraph ``name``, in all its calls."""
    graph, subgraph = model.flat.graph, model.subgraph(name)
    calls = {subgraph.called(call) for call in range(subgraph.calls)}
    inside = [node for node in graph.nodes if part_of(node) in calls]
    before, after = _closure(inside, "all_input_nodes"), _closure(inside, "users")
    # What is computed of parameters alone feeds nobody.
    data = _closure([node for node in graph.nodes if node.op == "placeholder"], "users")
    outside = [node for node in graph.nodes if node in data and node.op.startswith("call_") and node not in inside]
    outside = [node for node in outside if not _gives_sizes(node)]
    around_it = _containing(subgraph.namespace.rstrip("."))
    names = [(node, _module_of(node, around_it) or _name(node)) for node in outside]
    # A module is named once, and not by each of its layers.
    return Around(
        tuple(dict.fromkeys(name for node, name in names if node in before)),
        tuple(dict.fromkeys(name for node, name in names if node in after)),
    )


def _closure(nodes: list[fx.Node], direction: str) -> set[fx.Node]:
    """Everything that they depend on, or that depends on them."""
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        for node in getattr(waiting.pop(), direction):
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def _containing(path: str) -> set[str]:
    """The paths of the modules that a subgraph is in, and its own."""
    steps = path.split(".")
    return {"", *(".".join(steps[:count]) for count in range(1, len(steps) + 1))}


def _module_of(node: fx.Node, containing: set[str]) -> str:
    """The largest module that computes a node and not the subgraph; another arithmetic subgraph by its own name."""
    path = next((call.path for call in stack_of(node) if call.path not in containing), "")
    return path or (part_of(node) or "").partition("#")[0]


def _name(node: fx.Node) -> str:
    """``backbone`` for a module; for a function its arguments too, ``sum(dim=(2, 3))``, but for the values it reads."""
    if node.op == "call_module":
        return str(node.target)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    # An operator of ATen without its overload: ``new_zeros`` and not ``new_zeros.default``.
    name = name.partition(".")[0] if isinstance(node.target, torch._ops.OpOverload) else name
    positional, keywords = list(node.args), dict(node.kwargs)
    primitive = primitive_of(node)
    if primitive is not None:
        # It holds every argument, also those that nobody gave.
        name, given = primitive.name, dict(zip(primitive.parameters, node.args, strict=True))
        positional = [value for key, value in given.items() if key not in primitive.defaults]
        keywords = {key: value for key, value in given.items() if value != primitive.defaults.get(key, value)}
    arguments = [repr(value) for value in positional if _is_plain(value)]
    keywords = {key: value for key, value in keywords.items() if key[0] != "_" and key not in _NO_MEANING}
    arguments += [f"{key}={value!r}" for key, value in keywords.items() if _is_plain(value)]
    return f"{name}({', '.join(arguments)})" if arguments else name


def _gives_sizes(node: fx.Node) -> bool:
    """Whether it asks for the shape of something, or picks a size out of one."""
    if node.target is torch.ops.aten.sym_size.int or (node.op == "call_method" and node.target in ("size", "dim")):
        return True
    if node.target is getattr and node.args[1] in ("shape", "ndim"):
        return True
    source = node.args[0] if node.target is operator.getitem else None
    return isinstance(source, fx.Node) and _gives_sizes(source)


def _is_plain(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))
