"""Names the modules and functions around an arithmetic subgraph; the file of an isolated subgraph records them."""

import operator
from dataclasses import dataclass

import torch
from torch import fx

from nalu_export.graph.capture import ModelGraph
from nalu_export.graph.naming import part_of
from nalu_export.graph.places import stack_of
from nalu_export.graph.spelling.canonical import primitive_of

# Keyword arguments that do not change what is computed; the names leave them out.
_NO_MEANING = ("pin_memory", "device", "dtype", "layout")


@dataclass(frozen=True)
class Around:
    """The modules and functions of a model around an arithmetic subgraph.

    Attributes:
        before: names of those between the input of the model and the input of the subgraph, in order.
        after: names of those that read the output of the subgraph, directly or through others.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def around(model: ModelGraph, name: str) -> Around:
    """Return the modules and functions around the arithmetic subgraph ``name``, in all its calls."""
    graph, subgraph = model.flat.graph, model.subgraph(name)
    calls = {subgraph.called(call) for call in range(subgraph.calls)}
    inside = [node for node in graph.nodes if part_of(node) in calls]
    before, after = _closure(inside, "all_input_nodes"), _closure(inside, "users")
    # Only nodes that depend on the input count.
    data = _closure([node for node in graph.nodes if node.op == "placeholder"], "users")
    outside = [node for node in graph.nodes if node in data and node.op.startswith("call_") and node not in inside]
    outside = [node for node in outside if not _gives_sizes(node)]
    around_it = _containing(subgraph.namespace.rstrip("."))
    names = [(node, _module_of(node, around_it) or _name(node)) for node in outside]
    # A module is named once, not once for each of its layers.
    return Around(
        tuple(dict.fromkeys(name for node, name in names if node in before)),
        tuple(dict.fromkeys(name for node, name in names if node in after)),
    )


def _closure(nodes: list[fx.Node], direction: str) -> set[fx.Node]:
    """Return all nodes that ``nodes`` depend on, or all nodes that depend on them."""
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        for node in getattr(waiting.pop(), direction):
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def _containing(path: str) -> set[str]:
    """Return ``path`` and the paths of all modules that contain it."""
    steps = path.split(".")
    return {"", *(".".join(steps[:count]) for count in range(1, len(steps) + 1))}


def _module_of(node: fx.Node, containing: set[str]) -> str:
    """Return the largest module that computes a node but not the subgraph, or else the node's own subgraph."""
    path = next((call.path for call in stack_of(node) if call.path not in containing), "")
    return path or (part_of(node) or "").partition("#")[0]


def _name(node: fx.Node) -> str:
    """Return ``backbone`` for a module; for a function its name and plain arguments, ``sum(dim=(2, 3))``."""
    if node.op == "call_module":
        return str(node.target)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    # An operator of ATen without its overload: ``new_zeros``, not ``new_zeros.default``.
    name = name.partition(".")[0] if isinstance(node.target, torch._ops.OpOverload) else name
    positional, keywords = list(node.args), dict(node.kwargs)
    primitive = primitive_of(node)
    if primitive is not None:
        # A primitive node holds every argument, including defaults; leave the defaults out.
        name, given = primitive.name, dict(zip(primitive.parameters, node.args, strict=True))
        positional = [value for key, value in given.items() if key not in primitive.defaults]
        keywords = {key: value for key, value in given.items() if value != primitive.defaults.get(key, value)}
    arguments = [repr(value) for value in positional if _is_plain(value)]
    keywords = {key: value for key, value in keywords.items() if key[0] != "_" and key not in _NO_MEANING}
    arguments += [f"{key}={value!r}" for key, value in keywords.items() if _is_plain(value)]
    return f"{name}({', '.join(arguments)})" if arguments else name


def _gives_sizes(node: fx.Node) -> bool:
    """Return whether a node reads a shape, or one size of a shape."""
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
