"""The host model: everything around the arithmetic subgraphs, with its own weights folded."""

import torch
from torch import fx, nn

from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import fold
from nalu_export.graph.module import written
from nalu_export.modules.copying import in_double


def surroundings(graph: ModelGraph) -> fx.GraphModule:
    """Return a copy of the host model in float32, with one module at the path of each subgraph.

    A value that depends only on parameters (a weight that is normalised in each forward) is computed in float64 and
    rounded once, as in the subgraphs.
    """
    assert graph.host is not None
    outer = fold(in_double(graph.host)).float().eval().requires_grad_(False)
    return written(outer)


def host_type(dtype: torch.dtype) -> torch.dtype:
    """Return the type of a value in the host model, whose floats are float32."""
    return torch.float32 if dtype.is_floating_point else dtype


def replace_module(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module at a path."""
    owner, _, name = path.rpartition(".")
    setattr(root.get_submodule(owner), name, module)
