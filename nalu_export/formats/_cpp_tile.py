"""What is computed for one vector of a tile: the expressions of a stage and their operands."""

from typing import Any

from torch import fx

from nalu_export.formats._cpp_plan import Plan, Stage, Value, held_as, name_of
from nalu_export.formats._cpp_primitives import EXPRESSIONS, Spelling
from nalu_export.formats._cpp_text import Names, Parameters
from nalu_export.graph import label_of
from nalu_export.graph.evaluation import constant


class Naming:
    """What the values of a plan are called inside a function."""

    def __init__(self, found: Plan) -> None:
        self._found, self._names = found, Names()

    def variable(self, node: fx.Node) -> str:
        """One vector of a node's values."""
        return self._of("v", node)

    def sums(self, node: fx.Node) -> str:
        """The sums of a tile."""
        return self._of("sum", node)

    def pointer(self, value: Value) -> str:
        """Where a value stands for all features."""
        if value == self._found.input:
            return "x"
        return self._names.of(value, "all", _called(value.node) + ("_repeated" if value.view is not None else ""))

    def _of(self, prefix: str, node: fx.Node) -> str:
        return self._names.of((prefix, node), prefix, _called(node))


def _called(node: fx.Node) -> str:
    return label_of(node) or node.name


class Tile(Spelling):
    """The expressions of a stage.

    Args:
        found: the plan.
        stage: one of its stages, of kind ``"tiles"``.
        parameters: collects the constants.
        naming: what values are called.
    """

    def __init__(self, found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> None:
        self._plan, self._stage, self._parameters, self._naming = found, stage, parameters, naming
        self._node = stage.nodes[0]
        self._spelled: set[fx.Node] = set()

    def lines(self) -> list[str]:
        """A variable for each node that needs one: a product that is only ever added to something needs none."""
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
        source = self._plan.source(operand)
        if source in self._stage.nodes:
            self._spelled.add(source)
            return self._naming.variable(source)
        held = held_as(self._plan, self._node, operand)
        name = self._naming.pointer(held)
        return f"R::load({name} + o * S, k)" if held.count == self._stage.count else f"R::shared({name}, k)"

    def factors(self, operand: Any) -> tuple[str, str] | None:
        """See :meth:`Spelling.factors`: where this stage computes the product."""
        if not isinstance(operand, fx.Node) or name_of(operand) != "mul" or operand not in self._stage.nodes:
            return None
        return self.of(operand.args[0]), self.of(operand.args[1])

    def _expression(self, node: fx.Node) -> str:
        self._node = node
        if name_of(node) != "linear":
            return EXPRESSIONS[name_of(node)](node, self)
        sums = f"{self._naming.sums(node)}[k]"
        return sums if node.args[2] is None else f"{sums} + {self.of(node.args[2])}"

    def _constant(self, target: str) -> str:
        value = constant(self._plan.form, target).detach().numpy()
        if value.size == 1:
            return f"M::splat({self._parameters.literal(value.item())})"
        return f"R::constant({self._parameters.constant(target, value, self._stage.shape)} + o, k)"
