"""The arithmetic of loops: a step is one subgraph, which is run for every step."""

from collections.abc import Collection
from dataclasses import replace

from torch import fx

from nalu_export.graph.evaluation import Values, run
from nalu_export.graph.loops import loops_of
from nalu_export.graph.naming import join
from nalu_export.graph.places import stack_of
from nalu_export.graph.regions import Region
from nalu_export.graph.subgraphs import Subgraph, extracted

WHY = "it is a step of a loop, made of primitives"


def loop_subgraphs(flat: fx.GraphModule, values: Values, taken: Collection[str]) -> dict[str, Subgraph]:
    """The step of each loop of a flat graph, by name.

    The nodes of the loops' bodies get that name, too.

    Args:
        flat: with its loops.
        values: of its nodes in one run.
        taken: names of other subgraphs.
    """
    found: dict[str, Subgraph] = {}
    calls = {str(node.target): node for node in flat.graph.nodes if node.op == "call_module"}
    for path, loop in loops_of(flat):
        state, given, rest = loop.parts([values[node] for node in calls[path].args])
        inputs = [*state, *(x[0] for x in given), *rest]
        nodes = tuple(node for node in loop.body.graph.nodes if node.op.startswith("call_"))
        call = stack_of(nodes[0])[-1]
        # A step takes what it is given in this order, and is no call of a module.
        region = Region(nodes, call._replace(path=""), True, WHY)
        ((part),) = extracted(loop.body, [region], run(loop.body, *inputs))
        name = call.path or join(call.path, "step")
        while name in taken or name in found:
            name += "_"
        found[name] = replace(part.subgraph, name=name, path=None, loop=path, type=call.type.__name__)
        for node in nodes:
            node.meta["part"] = name
            label = node.meta.get("label")
            if label is not None:
                node.meta["label"] = join(name, label)
    return found
