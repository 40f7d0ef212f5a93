"""One opaque call, which can be run on values derived from its arguments' values and error bounds."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.parity.opaque.naming import bound, changes_its_input, function_name, module_name
from nalu_export.primitives.conditioned import Conditioned

Change = Callable[[Conditioned], Any]
Error = Callable[[Conditioned], Tensor]


class Call:
    """An opaque node of a float64 graph.

    Attributes:
        node: the node.
        name: the torch function that it calls; empty for a function that no rule can know.
        module: the module that it calls, ``None`` for a function.

    Args:
        graph_module: the graph that holds the node.
        node: see above.
        known: the results of every node before it: conditioned values (a value with its error bounds, see
            :class:`Conditioned`), and other objects as they are.
    """

    def __init__(self, graph_module: fx.GraphModule, node: fx.Node, known: Mapping[fx.Node, Any]) -> None:
        self.node = node
        self.module = graph_module.get_submodule(str(node.target)) if node.op == "call_module" else None
        self.name = function_name(node) if self.module is None else module_name(self.module)
        self._known = known
        self._places = bound(node, self.name) if self.module is None else {"input": 0}
        self._in_place = changes_its_input(node) or bool(self.setting("inplace"))

    @property
    def inputs(self) -> list[Conditioned]:
        """The conditioned values among its arguments, including those within tuples."""
        return [found for node in self.node.all_input_nodes for found in leaves(self._known[node])]

    def run(self, change: Change, module: nn.Module | None = None) -> Any:
        """Run the call with ``change(c)`` for each conditioned argument ``c``; with another module if one is given."""
        return self.run_on(lambda node: mapped(self._known[node], change), module)

    def run_on(self, value: Callable[[fx.Node], Any], module: nn.Module | None = None) -> Any:
        """Run the call with ``value(node)`` for each argument."""

        def given(node: fx.Node) -> Any:
            known = self._known[node]
            # The analysis holds masks and integers as conditioned values; the call always gets their plain values.
            if isinstance(known, Conditioned) and node.meta.get("truth"):
                return known.value != 0
            if isinstance(known, Conditioned) and "whole" in node.meta:
                return known.value.to(node.meta["whole"])
            return value(node)

        args, kwargs = fx.node.map_arg((self.node.args, self.node.kwargs), given)
        return self._called(args, kwargs, module)

    def at(self, place: int) -> list[Conditioned]:
        """Return the conditioned values in the argument at a position, including those within tuples."""
        if place >= len(self.node.args):
            return []
        found: list[Conditioned] = leaves(fx.node.map_arg(self.node.args[place], lambda node: self._known[node]))
        return found

    def undecided(self) -> list[Tensor]:
        """Return, for each mask or integer argument, where a correct evaluation may have another value."""
        nodes = [node for node in self.node.all_input_nodes if node.meta.get("truth") or "whole" in node.meta]
        given = [self._known[node] for node in nodes]
        return [known.radius > 0 for known in given if isinstance(known, Conditioned)]

    def argument(self, name: str, default: Any = None) -> Any:
        """Return an argument of a function by its name, conditioned or as it is; for a module only ``input`` exists."""
        place = self._places.get(name)
        if place is None:
            return default
        given = self.node.kwargs[place] if isinstance(place, str) else self.node.args[place]
        return fx.node.map_arg(given, lambda node: self._known[node])

    def setting(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the module, or an argument of the function."""
        return self.argument(name, default) if self.module is None else getattr(self.module, name, default)

    def apply(self, **replaced: Any) -> Any:
        """Run a function with some arguments replaced by other tensors or ``None``."""
        args, kwargs = list(self.node.args), dict(self.node.kwargs)
        args, kwargs = fx.node.map_arg((args, kwargs), lambda node: mapped(self._known[node], lambda c: c.value))
        args, kwargs = list(args), dict(kwargs)
        for name, value in replaced.items():
            place = self._places.get(name)
            if isinstance(place, int):
                args[place] = value
            elif place is not None or value is not None:
                kwargs[place or name] = value
        return self._called(tuple(args), kwargs, None)

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any], module: nn.Module | None) -> Any:
        target = self.node.target
        if self._in_place:
            # The call may not overwrite the stored values of its arguments.
            args, kwargs = fx.node.map_aggregate((args, kwargs), _cloned)
        if self.module is not None:
            return (module or self.module)(*args, **kwargs)
        if self.node.op == "call_method":
            return getattr(args[0], str(target))(*args[1:], **kwargs)
        assert callable(target)
        return target(*args, **kwargs)


def _cloned(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def value_of(argument: Conditioned) -> Tensor:
    """Return the value without its error bounds."""
    return argument.value


def mapped(value: Any, change: Change) -> Any:
    """Apply ``change`` to each conditioned value in nested tuples and lists; keep other objects."""
    if isinstance(value, Conditioned):
        return change(value)
    if not leaves(value):
        return value  # for example a torch.Size
    changed = [mapped(part, change) for part in value]
    return changed if isinstance(value, list) else tuple(changed)


def leaves(value: Any) -> list[Conditioned]:
    """Return the conditioned values in nested tuples and lists."""
    if isinstance(value, Conditioned):
        return [value]
    return [found for part in value for found in leaves(part)] if isinstance(value, (tuple, list)) else []


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        return [value]
    return [found for part in value for found in tensors(part)] if isinstance(value, (tuple, list)) else []


def is_number(value: Any) -> bool:
    """Return whether a value is a floating-point tensor, which can have an error."""
    return isinstance(value, Tensor) and value.is_floating_point()


def over_tensors(values: list[Any], combine: Callable[..., Any]) -> Any:
    """Combine the float tensors at the same position of equally nested tuples; keep the first of other objects."""
    first = values[0]
    if isinstance(first, (tuple, list)):
        return tuple(over_tensors(list(parts), combine) for parts in zip(*values, strict=True))
    return combine(*values) if is_number(first) else first


def constant_ball(value: Any) -> Conditioned | None:
    """Return a parameter as an exact conditioned value; a value that is conditioned already is returned unchanged."""
    if value is None or isinstance(value, Conditioned):
        return value
    assert isinstance(value, Tensor)
    exact = value.detach().double()
    return Conditioned.exact(exact, torch.zeros_like(exact))
