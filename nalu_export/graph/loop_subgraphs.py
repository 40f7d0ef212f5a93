"""Makes the step of a loop an arithmetic subgraph; the loop runs it once for every step."""

from collections.abc import Collection
from dataclasses import replace

from torch import fx

from nalu_export.graph.evaluation import Values, run
from nalu_export.graph.loops import loops_of
from nalu_export.graph.naming import join
from nalu_export.graph.places import stack_of
from nalu_export.graph.regions import Region
from nalu_export.graph.subgraphs import Subgraph, extracted

WHY = "it is the step of a loop and consists of primitives"


def loop_subgraphs(flat: fx.GraphModule, values: Values, taken: Collection[str]) -> dict[str, Subgraph]:
    """Return the step of each loop of a flat graph as a subgraph, by name.

    The nodes of the bodies of the loops get the name of the subgraph.

    Args:
        flat: a flat graph with its loops.
        values: values of its nodes in one run.
        taken: names of other subgraphs.
    """
    found: dict[str, Subgraph] = {}
    calls = {str(node.target): node for node in flat.graph.nodes if node.op == "call_module"}
    for path, loop in loops_of(flat):
        state, given, rest = loop.parts([values[node] for node in calls[path].args])
        inputs = [*state, *(x[0] for x in given), *rest]
        nodes = tuple(node for node in loop.body.graph.nodes if node.op.startswith("call_"))
        call = stack_of(nodes[0])[-1]
        # The empty path makes the region a whole model, so that its inputs keep the order of the body.
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
