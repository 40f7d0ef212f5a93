"""Fields of named tuples: ``x.sort(1).values`` becomes ``x.sort(1)[0]``, which the other modules understand."""

import operator
from collections.abc import Mapping
from typing import Any

from torch import fx


def index_fields(graph: fx.Graph, values: Mapping[fx.Node, Any]) -> None:
    """Replace access to fields by indexing; in place.

    Args:
        graph: any graph.
        values: values of its nodes in one run.
    """
    for node in graph.nodes:
        if node.target is not getattr or not isinstance(node.args[0], fx.Node):
            continue
        owner, field = values[node.args[0]], node.args[1]
        if isinstance(owner, tuple):
            found = getattr(owner, field)
            node.args = (node.args[0], next(place for place, part in enumerate(owner) if part is found))
            node.target = operator.getitem
