"""Operations in place: later readers of a changed tensor read the result of the call that changed it."""

from typing import Any

from torch import fx

from nalu_export.graph.spelling.names import is_in_place, name_of
from nalu_export.primitives.compositions import COMPOSITIONS

_FLAG = "inplace"


def redirect_changes(graph_module: fx.GraphModule) -> None:
    """Make later readers of a changed tensor read the call that changed it, so the call need not work in place.

    Layers of torch that work in place are set not to. A view of the tensor would change as well. This function does
    not look for views; the capture compares the graph with the model and finds the difference.
    """
    place = {node: number for number, node in enumerate(graph_module.graph.nodes)}
    layers = [node for node in place if node.op == "call_module" and _layer_in_place(graph_module, node)]
    for node, number in place.items():
        if not is_in_place(node) and not _is_told(node) and node not in layers:
            continue
        changed = node.args[0] if node.args else None
        if isinstance(changed, fx.Node) and changed.op != "get_attr":
            for user in list(changed.users):
                if place[user] > number:
                    user.replace_input_with(changed, node)
    for node in layers:
        setattr(graph_module.get_submodule(str(node.target)), _FLAG, False)


def without_flag(name: str, bound: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a composition with its flag ``inplace`` off, since later readers read the result."""
    parameters = COMPOSITIONS[name].parameters
    return tuple(
        False if parameter == _FLAG else argument for parameter, argument in zip(parameters, bound, strict=True)
    )


def _layer_in_place(graph_module: fx.GraphModule, node: fx.Node) -> bool:
    return getattr(graph_module.get_submodule(str(node.target)), _FLAG, False) is True


def _is_told(node: fx.Node) -> bool:
    """Return whether an argument makes a call work in place, as in ``F.relu(x, inplace=True)``."""
    composition = COMPOSITIONS.get(name_of(node) or "")
    bound = composition.bind(node.args, dict(node.kwargs)) if composition is not None else None
    if composition is None or bound is None or _FLAG not in composition.parameters:
        return False
    return bound[composition.parameters.index(_FLAG)] is True
