"""Names for the values of the traced graph, taken from the source: ``m = torch.exp(…)`` is the value ``m``.

A file whose values are called ``layers.0.a``, ``layers.0.m`` and ``layers.0.z`` can be read in a viewer, and a check
can say where the first wrong one is.
"""

import ast
import functools
import inspect
import sys
import textwrap
from types import CodeType, FrameType

from torch import fx, nn

from nalu_export.nn import ArithmeticLayer
from nalu_export.nn.parts import arithmetic_parts
from nalu_export.primitives import BY_FUNCTION

# Where forward hands its result back.
RESULT = "y"
# What a file calls the values around a part, or around the whole where it is one part.
EDGES = ("x", "input", "output")


class Places:
    """Remembers which statement of which layer's ``forward`` each node comes from.

    Args:
        root: the module that is traced; its layers are named by their paths in it.
    """

    def __init__(self, root: nn.Module) -> None:
        self._paths = {id(module): path for path, module in root.named_modules() if isinstance(module, ArithmeticLayer)}
        self._parts = list(arithmetic_parts(root))
        # Held on to, so that no later call gets the identity of one that has ended.
        self._frames: dict[int, FrameType] = {}

    def mark(self, node: fx.Node) -> None:
        """Note the innermost ``forward`` of an arithmetic layer that is running now, and the part that it is in."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            layer = frame.f_locals.get("self") if frame.f_code.co_name == "forward" else None
            if isinstance(layer, ArithmeticLayer) and id(layer) in self._paths:
                path = self._paths[id(layer)]
                self._frames[id(frame)] = frame
                node.meta.setdefault("place", (path, id(frame), _statement(frame)))
                node.meta["part"] = next(part for part in self._parts if not part or f"{path}.".startswith(f"{part}."))
            frame = frame.f_back


def label(graph: fx.Graph) -> None:
    """Give every primitive a name that is unique in the graph, and rename the nodes after it.

    The last node of a statement ``a = …`` is ``a``, that of ``return …`` is ``y``, any other is called after its
    primitive; with the path of the layer before it, and a number where a name comes again.
    """
    nodes = list(graph.nodes)
    # Names that a file gives to other values: weights, and what goes into it or into a part and comes out.
    taken = {str(node.target) for node in nodes if node.op == "get_attr"}
    taken |= {_in_part(node, edge) for node in nodes if part_of(node) is not None for edge in EDGES}
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        primitive = BY_FUNCTION.get(node.target) if node.op == "call_function" else None
        place = node.meta.pop("place", None)
        if primitive is None or place is None:
            continue
        path, _, (_, variable) = place
        last = following is None or following.meta.get("place") != place
        short = variable if last and variable else primitive.name
        full = f"{path}.{short}" if path else short
        result = None if _leaves(node) else _in_part(node, RESULT)
        names = (full, *(f"{full}_{k}" for k in range(2, len(nodes) + len(taken) + 2)))
        name = next(n for n in names if n not in taken and n != result)
        taken.add(name)
        node.meta["label"] = name
    for node in nodes:
        if "label" in node.meta:
            node.meta["formula"] = _formula(node)
    _rename(graph)


def _rename(graph: fx.Graph) -> None:
    """Labels first: fx made up exp_2 for another node, and w for the parameter W."""
    named = [node for node in graph.nodes if "label" in node.meta]
    others = [node for node in graph.nodes if node.op in ("get_attr", "call_function") and node not in named]
    wanted = [
        *((node, node.meta["label"].replace(".", "_")) for node in named),
        *((node, node.name) for node in others),
    ]
    for node, _ in wanted:
        graph._graph_namespace._used_names.discard(node.name)
        node.name = ""
    for node, name in wanted:
        node._rename(name)


def label_of(node: fx.Node) -> str | None:
    """Dotted name of a primitive's value, ``layers.0.m``; ``None`` for a node that a rewrite put in."""
    return node.meta.get("label")


def part_of(node: fx.Node) -> str | None:
    """Path of the arithmetic part that computes a node; ``None`` outside of all."""
    return node.meta.get("part")


def _in_part(node: fx.Node, name: str) -> str:
    part = part_of(node)
    return f"{part}.{name}" if part else name


def _leaves(node: fx.Node) -> bool:
    """Whether something outside of the node's part reads it."""
    return any(part_of(user) != part_of(node) for user in node.users)


def formula_of(node: fx.Node) -> str:
    """How a labelled value is computed from those before it: ``exp(linear)``."""
    return str(node.meta["formula"])


def _formula(node: fx.Node) -> str:
    def short(argument: object) -> str:
        if isinstance(argument, fx.Node):
            name = str(argument.meta.get("label") or (argument.target if argument.op == "get_attr" else argument.name))
            return name.rpartition(".")[2]
        return str(argument)

    arguments = [short(argument) for argument in node.args if argument is not None]
    return f"{BY_FUNCTION[node.target].name}({', '.join(arguments)})"  # type: ignore[index]


def _statement(frame: FrameType) -> tuple[int, str]:
    """Line of the statement that runs, and the variable that it assigns."""
    return _statements(frame.f_code).get(frame.f_lineno, (frame.f_lineno, ""))


@functools.cache
def _statements(code: CodeType) -> dict[int, tuple[int, str]]:
    """For each line of a function the first line of its statement and the name that the statement assigns."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, SyntaxError, TypeError):  # built by exec, or from a file that is gone
        return {}
    found: dict[int, tuple[int, str]] = {}
    for statement in ast.walk(tree):
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)):
            first = statement.lineno + code.co_firstlineno - 1
            for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
                found[line + code.co_firstlineno - 1] = (first, _assigned(statement))
    return found


def _assigned(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Return):
        return RESULT
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]  # type: ignore[attr-defined]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""
