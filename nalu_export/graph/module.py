"""Graph modules that generate the Python code of their graph only when they are called."""

from typing import Any, TypeVar

from torch import fx

M = TypeVar("M", bound=fx.GraphModule)


class LazyGraphModule(fx.GraphModule):
    """A graph module for a graph that is read node by node: generating its code takes longer than everything else.

    torch has such a class, but not a public one.
    """

    def recompile(self) -> Any:
        """Drop the code; the next call generates it again."""
        type(self).forward = _write_and_call  # each graph module has its own class


def written(graph_module: M) -> M:
    """Generate the code of the graph and return the module; tracers need the module's own ``forward``."""
    fx.GraphModule.recompile(graph_module)
    return graph_module


def _write_and_call(self: fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
    return written(self).forward(*args, **kwargs)
