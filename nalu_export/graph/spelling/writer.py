"""Inserts primitives into a graph, with their values and with the source places of the node that they replace."""

from typing import Any

import torch
from torch import Tensor, fx

from nalu_export.graph.evaluation import Values, evaluated
from nalu_export.primitives import PRIMITIVES


class Writer:
    """Inserts new nodes before the node that they replace.

    Attributes:
        graph_module: the graph module that is changed.
        values: values of every node in one run; values of new nodes are added.

    Args:
        graph_module: see above.
        values: see above.
    """

    def __init__(self, graph_module: fx.GraphModule, values: Values) -> None:
        self.graph_module, self.values = graph_module, values
        self._node: fx.Node | None = None
        self._data: dict[fx.Node, bool] = {}

    def at(self, node: fx.Node) -> None:
        """Insert new nodes before this node from now on."""
        self._node = node

    def emit(self, name: str, *args: Any) -> fx.Node:
        """Insert and return a node of the primitive ``name``."""
        assert self._node is not None
        primitive = PRIMITIVES[name]
        bound = primitive.bind(args, {})
        assert bound is not None, (name, args)
        graph = self.graph_module.graph
        with graph.inserting_before(self._node):
            node = graph.call_function(primitive.function, bound)
        node.meta = dict(self._node.meta)
        with torch.no_grad():
            self.values[node] = evaluated(node, self.graph_module, self.values)
        return node

    def replace(self, node: fx.Node, result: Any) -> None:
        """Make all readers of ``node`` read ``result`` instead: a node, or a list of nodes if they index it."""
        if isinstance(result, (list, tuple)):
            for user in list(node.users):
                index = user.args[1] if len(user.args) > 1 else None
                if user.op == "call_function" and getattr(user.target, "__name__", "") == "getitem":
                    user.replace_all_uses_with(result[index])  # type: ignore[index]
            return
        if result is node:
            return
        node.replace_all_uses_with(result)

    def is_constant(self, argument: Any) -> bool:
        """Return whether a value depends on parameters alone; a plain number does."""
        if not isinstance(argument, fx.Node):
            return True
        if argument not in self._data:
            inputs = argument.all_input_nodes
            self._data[argument] = argument.op == "placeholder" or not all(map(self.is_constant, inputs))
        return not self._data[argument]

    def tensor(self, argument: Any) -> Tensor | None:
        """Return the value of a node in the run if it is a tensor, else ``None``."""
        value = self.values.get(argument) if isinstance(argument, fx.Node) else None
        return value if isinstance(value, Tensor) else None

    def rank(self, argument: Any) -> int:
        """Return the number of axes of a value; 0 for a number."""
        found = self.tensor(argument)
        return 0 if found is None else found.ndim
