"""Graph modules that do not write Python code of their graph until somebody calls them."""

from typing import Any, TypeVar

from torch import fx

M = TypeVar("M", bound=fx.GraphModule)


class LazyGraphModule(fx.GraphModule):
    """A graph module for a graph that is read node by node: to write its code takes longer than all else.

    torch has a class of this kind, but no public one.
    """

    def recompile(self) -> Any:
        """Forget the code; a call writes it anew."""
        type(self).forward = _write_and_call  # each graph module has a class of its own


def written(graph_module: M) -> M:
    """The module itself, with the code of its graph: who traces modules is to find their own ``forward``."""
    fx.GraphModule.recompile(graph_module)
    return graph_module


def _write_and_call(self: fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
    return written(self).forward(*args, **kwargs)
