"""Names the values of an arithmetic subgraph after the source: ``m = torch.exp(…)`` is the value ``m``.

A file with values called ``layers.0.a``, ``layers.0.m`` and ``layers.0.z`` is readable in a viewer, and a check can
name the first divergence.
"""

import itertools
from collections.abc import Collection

from torch import fx

from nalu_export.graph.places import RESULT, place_of, stack_of
from nalu_export.graph.spelling.canonical import primitive_of

# Names that a file gives to the inputs and outputs of a subgraph, or of a model that is one subgraph.
EDGES = ("x", "input", "output")


def entry(place: int) -> str:
    """Return the name of an input of a subgraph: ``x``, ``x_2`` and so on."""
    return numbered("x", place)


def numbered(name: str, place: int) -> str:
    """Return the name for the first of several values, and the name with a number for the others: ``y``, ``y_2``."""
    return f"{name}_{place + 1}" if place else name


def free_name(name: str, taken: Collection[str]) -> str:
    """Return ``"gate"``, or ``"gate_2"`` if that name is taken."""
    if name not in taken:
        return name
    return next(f"{name}_{k}" for k in range(2, len(taken) + 3) if f"{name}_{k}" not in taken)


def label(graph: fx.Graph, base: str, reserved: Collection[str] = ()) -> None:
    """Give every primitive of a subgraph a label (a unique name) and rename the nodes after their labels.

    The last node of a statement ``a = …`` is ``a``, the last node of ``return …`` is ``y``, and any other node has the
    name of its primitive. The path of the layer stands before the name. A repeated name gets a number.

    Args:
        graph: the graph of the subgraph alone.
        base: path of the module that is the subgraph or contains it; labels are relative to that path.
        reserved: names that a file gives to other values.
    """
    nodes = list(graph.nodes)
    (result,) = graph.output_node().args
    leaving = set(result) if isinstance(result, (tuple, list)) else {result}
    # Names that a file gives to other values: weights, inputs and outputs.
    taken = {str(node.target) for node in nodes if node.op in ("get_attr", "placeholder")} | {*EDGES, *reserved}
    runs = [_run(node) for node in nodes] + [None]
    for node, run, following in zip(nodes, runs, runs[1:], strict=False):
        primitive, place = primitive_of(node), place_of(node)
        if primitive is None or place is None:
            continue
        short = place.variable if place.variable and following != run else primitive.name
        full = join(_relative(node, base), short)
        names = itertools.chain([full], (f"{full}_{k}" for k in itertools.count(2)))
        name = next(n for n in names if n not in taken and (n != RESULT or node in leaving))
        taken.add(name)
        node.meta["label"] = name
    for node in nodes:
        if "label" in node.meta:
            node.meta["formula"] = _formula(node)
    _rename(graph)


def join(path: str, name: str) -> str:
    """Return ``"head.m"`` for the path ``"head"``; ``"m"`` for the empty path."""
    return f"{path}.{name}" if path else name


def _run(node: fx.Node) -> tuple[object, ...] | None:
    """Return a key that differs between two runs of a statement."""
    place = place_of(node)
    if place is None:
        return None
    call = _layer(node)
    return call, place.file, place.run, place.first


def _layer(node: fx.Node) -> tuple[str, int]:
    """Return path and number of the innermost module call that is not of a layer of torch."""
    calls = [call for call in stack_of(node) if not call.type.__module__.startswith("torch.")]
    return calls[-1][:2] if calls else ("", 0)


def _relative(node: fx.Node, base: str) -> str:
    path, _ = _layer(node)
    if path == base or not base:
        return "" if path == base else path
    return path.removeprefix(f"{base}.")


def _rename(graph: fx.Graph) -> None:
    """Rename labelled nodes first: fx may use their names elsewhere (``exp_2``, or ``w`` for the parameter W)."""
    named = [node for node in graph.nodes if "label" in node.meta]
    others = [node for node in graph.nodes if node.op in ("get_attr", "call_function") and "label" not in node.meta]
    wanted = [
        *((node, node.meta["label"].replace(".", "_")) for node in named),
        *((node, node.name) for node in others),
    ]
    for node, _ in wanted:
        graph._graph_namespace._used_names.discard(node.name)
        node.name = ""
    for node, name in wanted:
        node._rename(name)


def label_of(node: fx.Node) -> str | None:
    """Return the label of a node, ``layers.0.m``; ``None`` for a node that a rewrite inserted."""
    found: str | None = node.meta.get("label")
    return found


def part_of(node: fx.Node) -> str | None:
    """Return the subgraph that computes a node, ``cell#2`` in its second call; ``None`` outside every subgraph."""
    found: str | None = node.meta.get("part")
    return found


def formula_of(node: fx.Node) -> str:
    """Return how a labelled value is computed from its arguments: ``exp(linear)``."""
    return str(node.meta["formula"])


def _formula(node: fx.Node) -> str:
    def short(argument: object) -> str:
        if isinstance(argument, fx.Node):
            name = str(argument.meta.get("label") or (argument.target if argument.op == "get_attr" else argument.name))
            return name.rpartition(".")[2]
        if isinstance(argument, (list, tuple)):
            return f"[{', '.join(map(short, argument))}]"
        return str(argument)

    primitive = primitive_of(node)
    assert primitive is not None
    arguments = [short(argument) for argument in node.args if argument is not None]
    return f"{primitive.name}({', '.join(arguments)})"
