"""Names for the values of an arithmetic subgraph, taken from the source: ``m = torch.exp(…)`` is the value ``m``.

A file whose values are called ``layers.0.a``, ``layers.0.m`` and ``layers.0.z`` can be read in a viewer, and a check
can say where the first wrong one is.
"""

import itertools
from collections.abc import Collection

from torch import fx

from nalu_export.graph.places import RESULT, place_of, stack_of
from nalu_export.graph.spelling.canonical import primitive_of

# What a file calls the values around a subgraph, or around the whole model where it is one subgraph.
EDGES = ("x", "input", "output")


def entry(place: int) -> str:
    """What a subgraph calls its inputs: ``x``, ``x_2`` and so on."""
    return numbered("x", place)


def numbered(name: str, place: int) -> str:
    """The name itself for the first of several, then with its number: ``y``, ``y_2``."""
    return f"{name}_{place + 1}" if place else name


def label(graph: fx.Graph, base: str, reserved: Collection[str] = ()) -> None:
    """Give every primitive of a subgraph a name that is unique in it, and rename the nodes after it.

    The last node of a statement ``a = …`` is ``a``, that of ``return …`` is ``y``, any other is called after its
    primitive; with the path of the layer before it, and a number where a name comes again.

    Args:
        graph: of the subgraph alone.
        base: path of the module that it is, or is in: names are relative to it.
        reserved: names that a file gives to something else.
    """
    nodes = list(graph.nodes)
    (result,) = graph.output_node().args
    leaving = set(result) if isinstance(result, (tuple, list)) else {result}
    # Names that a file gives to other values: weights, and what goes into it and comes out.
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
    """``"head.m"``; ``"m"`` in the model itself."""
    return f"{path}.{name}" if path else name


def _run(node: fx.Node) -> tuple[object, ...] | None:
    """Tells one run of a statement from another."""
    place = place_of(node)
    if place is None:
        return None
    call = _layer(node)
    return call, place.file, place.run, place.first


def _layer(node: fx.Node) -> tuple[str, int]:
    """Path and number of the innermost call that is not of a layer of torch."""
    calls = [call for call in stack_of(node) if not call.type.__module__.startswith("torch.")]
    return calls[-1][:2] if calls else ("", 0)


def _relative(node: fx.Node, base: str) -> str:
    path, _ = _layer(node)
    if path == base or not base:
        return "" if path == base else path
    return path.removeprefix(f"{base}.")


def _rename(graph: fx.Graph) -> None:
    """Labels first: fx made up exp_2 for another node, and w for the parameter W."""
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
    """Dotted name of a primitive's value, ``layers.0.m``; ``None`` for a node that a rewrite put in."""
    found: str | None = node.meta.get("label")
    return found


def part_of(node: fx.Node) -> str | None:
    """Name of the arithmetic subgraph that computes a node, ``cell#2`` in its second call; ``None`` outside of all."""
    found: str | None = node.meta.get("part")
    return found


def formula_of(node: fx.Node) -> str:
    """How a labelled value is computed from those before it: ``exp(linear)``."""
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
