"""Records where in the user's source a node of a graph comes from: module call, file, line, assigned variable."""

import ast
import functools
import linecache
from collections.abc import Mapping
from types import FrameType
from typing import Any, NamedTuple

from torch import fx, nn

# Name of the value in a return statement.
RESULT = "y"


class Call(NamedTuple):
    """One call of a module.

    Attributes:
        path: path of the module in the model, ``""`` for the model itself.
        number: number of earlier calls of the module.
        type: class of the module.
    """

    path: str
    number: int
    type: type[nn.Module]


class Place(NamedTuple):
    """A statement of the source.

    Attributes:
        file: name of the source file.
        line: line in the file, from 1.
        run: number that differs between two runs of the function; 0 if unknown.
        first: line at which the statement starts.
        variable: name that the statement assigns, ``"y"`` for a return, else empty.
    """

    file: str
    line: int
    run: int
    first: int
    variable: str


def note(node: fx.Node, stack: tuple[Call, ...], place: Place | None) -> None:
    """Record where a node comes from."""
    node.meta["stack"] = stack
    if place is not None:
        node.meta["place"] = place


def calls_of(meta: Mapping[str, Any], types: Mapping[str, type[nn.Module]]) -> tuple[Call, ...]:
    """The calls of modules that a node is in, as torch.fx and torch.export record them.

    Args:
        meta: of the node; ``nn_module_stack`` is ``{"cell@1": ("cell", …)}`` or ``{"L__self___cell@1": …}`` for the
            second call of ``cell``.
        types: of the modules of the model by their paths. What is outside of all calls is in the model's own.
    """
    calls = []
    for key, (path, _) in meta.get("nn_module_stack", {}).items():
        if path in types:
            count = key.rpartition("@")[2] if "@" in key and key != path else ""
            calls.append(Call(path, int(count) if count.isdigit() else 0, types[path]))
    if not calls or calls[0].path:
        calls.insert(0, Call("", 0, types[""]))
    return tuple(calls)


def stack_of(node: fx.Node) -> tuple[Call, ...]:
    """Return the module calls that contain the node, the model itself first."""
    stack: tuple[Call, ...] = node.meta.get("stack", ())
    return stack


def place_of(node: fx.Node) -> Place | None:
    """Return the statement that computes the node, or ``None`` if it is unknown."""
    place: Place | None = node.meta.get("place")
    return place


def place_of_frame(frame: FrameType) -> Place:
    """Return the statement that a frame is running."""
    return place_in(frame.f_code.co_filename, frame.f_lineno, id(frame))


def place_in(file: str, line: int, run: int) -> Place:
    """Return the statement at a line of a file."""
    first, variable = _statements(file).get(line, (line, ""))
    return Place(file, line, run, first, variable)


@functools.cache
def _statements(file: str) -> dict[int, tuple[int, str]]:
    """Return for each line of a file the first line of its statement and the name that it assigns."""
    try:
        # linecache also has the cells of a notebook.
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, tuple[int, str]] = {}
    for statement in ast.walk(tree):
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)):
            for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
                found[line] = (statement.lineno, _assigned(statement))
    return found


def _assigned(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Return):
        return RESULT
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]  # type: ignore[attr-defined]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""
