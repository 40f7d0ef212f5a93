"""Finds ε: the constant that keeps the logarithm or power of a magnitude finite if an input is 0."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx

from nalu_export.graph.places import Call
from nalu_export.graph.reading._nodes import VIEWS, arguments, is_, layer_of, seen_through
from nalu_export.graph.reading.form import Form


@dataclass(frozen=True)
class Epsilon:
    """The ε in the argument of one logarithm or power: ``max(|x|, floor) + added``.

    Attributes:
        call: the layer that contains it.
        added: the constant that is added, 0 for none.
        floor: the lower bound, 0 for none.
        square: whether both apply to ``x²``, not to ``|x|``.
        name: name of the parameter or buffer that holds it, ``None`` for a number in the source.
    """

    call: Call
    added: float
    floor: float
    square: bool = False
    name: str | None = None


def epsilons(form: Form) -> list[Epsilon]:
    """Return the different ε of a graph, in order of computation."""
    found: dict[Epsilon, None] = {}
    for node in form.graph.nodes:
        if form.is_constant(node) or not _is_delicate(node):
            continue
        for magnitude in _magnitudes(form, node.args[0]):
            inside = _Inside(form)
            if inside.read(magnitude) and (inside.added or inside.floor):
                found[Epsilon(layer_of(node), inside.added, inside.floor, inside.square, inside.name)] = None
    return list(found)


def _is_delicate(node: fx.Node) -> bool:
    """Return whether a node is a logarithm, or a power whose exponent is not a plain number."""
    return is_(node, "log") or (is_(node, "pow") and isinstance(node.args[1], fx.Node))


def _magnitudes(form: Form, argument: object) -> Iterator[fx.Node]:
    """Yield the outermost magnitudes in an argument: itself, or parts of it as in ``g·(|x| + ε) + 1 − g``."""
    waiting, seen = [argument], set[fx.Node]()
    while waiting:
        node = waiting.pop(0)
        if not isinstance(node, fx.Node) or form.is_constant(node) or node in seen:
            continue
        seen.add(node)
        node = seen_through(node)
        if _Inside(form).read(node):
            yield node
        elif is_(node, *VIEWS, "add", "sub", "mul", "div", "neg", "select", "slice"):
            waiting += node.all_input_nodes


class _Inside:
    """Matches ``max(|x|, floor) + added``, from the outside in."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self.added = self.floor = 0.0
        self.square = False
        self.name: str | None = None

    def read(self, node: object) -> bool:
        """Return whether a node is a magnitude, and store ``added`` and ``floor``."""
        if not isinstance(node, fx.Node):
            return False
        node = seen_through(node)
        if is_(node, "abs"):
            return True
        if self._is_square(node):
            self.square = True
            return True
        if is_(node, "sqrt"):
            return self.read(node.args[0]) and self.square
        if is_(node, "add"):
            return self._with_constant(node.args, "added")
        if is_(node, "maximum"):
            return self._with_constant(node.args, "floor")
        if is_(node, "clamp"):
            return node.args[2] is None and self._with_constant(node.args[:2], "floor")
        return is_(node, "where") and self._chosen(node)

    def _is_square(self, node: fx.Node) -> bool:
        if is_(node, "mul"):
            left, right = node.args
            return left is right and not self._form.is_constant(left)
        return is_(node, "pow") and arguments(node)[1:] == [2]

    def _with_constant(self, arguments: tuple[object, ...], attribute: str) -> bool:
        """Match a magnitude and a constant, in either order; add the constant to ``attribute``."""
        for data, other in (arguments, arguments[::-1]):
            constant = self._constant(other)
            # Data with a lower bound of 0 or more counts as a magnitude, whatever it was before.
            bounded = attribute == "floor" and constant is not None and constant[0] >= 0 and isinstance(data, fx.Node)
            if constant is not None and (self.read(data) or bounded):
                setattr(self, attribute, getattr(self, attribute) + constant[0])
                self.name = self.name or constant[1]
                return True
        return False

    def _chosen(self, node: fx.Node) -> bool:
        """Match ``where(|x| < ε, ε, |x|)`` and ``where(|x| > ε, |x|, ε)``."""
        condition, first, second = node.args
        if not is_(condition, "lt", "le", "gt", "ge"):
            return False
        bounds = [self._constant(argument) for argument in condition.args]  # type: ignore[union-attr]
        chosen = self._constant(first) or self._constant(second)
        if chosen is None or chosen not in bounds:
            return False
        return self._with_constant((first, second), "floor")

    def _constant(self, argument: object) -> tuple[float, str | None] | None:
        """Return the value of a constant, the smallest magnitude of several, and the name of its first parameter."""
        if isinstance(argument, (int, float)) and not isinstance(argument, bool):
            return float(argument), None
        if not isinstance(argument, fx.Node) or not self._form.is_constant(argument):
            return None
        value = self._form.value(argument)
        names = self._form.parameters(argument)
        return (float(value.abs().min()), names[0] if names else None) if value.numel() else None
