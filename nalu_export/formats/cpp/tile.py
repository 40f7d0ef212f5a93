"""Writes the computation for one vector of a tile: the expressions of a stage and their operands."""

from typing import Any

from torch import fx

from nalu_export.formats.cpp.plan import Plan, Read, Stage, Value
from nalu_export.formats.cpp.primitives import EXPRESSIONS, Spelling
from nalu_export.formats.cpp.samples import name_of
from nalu_export.formats.cpp.text import Array, Names, Parameters
from nalu_export.graph import label_of
from nalu_export.graph.evaluation import constant


class Naming:
    """Names of a plan's values inside a C++ function."""

    def __init__(self, found: Plan) -> None:
        self._found, self._names = found, Names()

    def variable(self, node: fx.Node) -> str:
        """Return the name of one vector of a node's values."""
        return self._of("v", node)

    def sums(self, node: fx.Node) -> str:
        """Return the name of the sums of a tile."""
        return self._of("sum", node)

    def pointer(self, value: Value) -> str:
        """Return the name of the pointer to all features of a value."""
        if value in self._found.inputs:
            return "x" if len(self._found.inputs) == 1 else self._names.of(value, "x", _called(value.node))
        return self._names.of(value, "all", _called(value.node) + ("_copied" if value.copied else ""))

    def start(self, read: Read, plus: str = "") -> str:
        """Write the pointer to the first number that is read; ``plus`` is an offset that is added."""
        places = [text for text in (str(read.first) if read.first else "", plus) if text]
        if not places:
            return self.pointer(read.value)
        place = places[0] if len(places) == 1 else f"({' + '.join(places)})"
        return f"{self.pointer(read.value)} + {place} * S"

    def _of(self, prefix: str, node: fx.Node) -> str:
        return self._names.of((prefix, node), prefix, _called(node))


def _called(node: fx.Node) -> str:
    return label_of(node) or node.name


class Tile(Spelling):
    """Writes the expressions of a stage.

    Args:
        found: the plan.
        stage: one of its stages, of kind ``"tiles"``.
        parameters: collects the constants.
        naming: names of the values.
    """

    def __init__(self, found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> None:
        self._plan, self._stage, self._parameters, self._naming = found, stage, parameters, naming
        self._node = stage.nodes[0]
        self._spelled: set[fx.Node] = set()

    def lines(self) -> list[str]:
        """Declare a variable for each node that needs one: not for a product that is only ever added to a value."""
        wanted = {value.node for value in self._stage.outputs}
        found: list[str] = []
        for node in reversed(self._stage.nodes):
            if node not in wanted:
                continue
            self._spelled.clear()
            found.append(f"const auto {self._naming.variable(node)} = {self._expression(node)};")
            wanted |= self._spelled
        return found[::-1]

    def of(self, operand: Any) -> str:
        """See :meth:`Spelling.of`."""
        if not isinstance(operand, fx.Node):
            return f"M::splat({self._parameters.literal(operand)})"
        if operand not in self._plan.shapes:
            return self._constant(str(operand.target))
        read = self._plan.reads[self._node, operand]
        if read.value.node in self._stage.nodes:
            self._spelled.add(read.value.node)
            return self._naming.variable(read.value.node)
        if read.shared:
            return f"R::shared({self._naming.start(read)}, k)"
        return f"R::load({self._naming.start(read, 'o')}, k)"

    def factors(self, operand: Any) -> tuple[str, str] | None:
        """See :meth:`Spelling.factors`: the product has to be a node of this stage."""
        if not isinstance(operand, fx.Node) or name_of(operand) != "mul" or operand not in self._stage.nodes:
            return None
        outer, self._node = self._node, operand
        found = self.of(operand.args[0]), self.of(operand.args[1])
        self._node = outer
        return found

    def is_mask(self, node: fx.Node) -> bool:
        """See :meth:`Spelling.is_mask`."""
        return node in self._plan.masks

    def least(self, operand: Any) -> float:
        """See :meth:`Spelling.least`."""
        return self._plan.least[operand] if isinstance(operand, fx.Node) else float(operand)

    def _expression(self, node: fx.Node) -> str:
        self._node = node
        if name_of(node) != "linear":
            return EXPRESSIONS[name_of(node)](node, self)
        sums = f"{self._naming.sums(node)}[k]"
        return sums if node.args[2] is None else f"{sums} + {self.of(node.args[2])}"

    def _constant(self, target: str) -> str:
        value = constant(self._plan.form, target).detach().numpy()
        return repeated(self._parameters, target, value, self._plan.shapes[self._node])


def repeated(parameters: Parameters, target: str, value: Array, shape: tuple[int, ...]) -> str:
    """Write one vector of a constant that is repeated to a shape."""
    if value.size == 1:
        return f"M::splat({parameters.literal(value.item())})"
    return f"R::constant({parameters.constant(target, value, shape)} + o, k)"
