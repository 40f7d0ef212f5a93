"""Makes a graph compute each value of the parameters once, even where the source computes it several times."""

from torch import fx


def share_constants(graph_module: fx.GraphModule) -> None:
    """Merge nodes that read or compute the same value from parameters alone; in place.

    For example, a cell that is called twice computes its weights twice, with the same result.
    """
    graph = graph_module.graph
    constant: set[fx.Node] = set()
    seen: dict[tuple[object, ...], fx.Node] = {}
    for node in list(graph.nodes):
        inputs = node.all_input_nodes
        own = node.op == "get_attr" or (node.op == "call_module" and not node.args and not node.kwargs)
        if node.op in ("placeholder", "output") or not (own or (inputs and all(a in constant for a in inputs))):
            continue
        key = (node.op, node.target, repr(node.args), repr(node.kwargs))
        first = seen.setdefault(key, node)
        if first is node:
            constant.add(node)
        else:
            node.replace_all_uses_with(first)
            graph.erase_node(node)
    graph_module.recompile()
