"""Looking into TorchScript: values of an arithmetic part, found by the names that its traced graph kept.

torch has no public way to do this. Hooks of a loaded archive see whole submodules, and a second method that returns the
values would be another artifact than the one that is checked. So three private names of ``torch._C`` are used here and
nowhere else: ``_get_method``, ``_jit_pass_dce`` and ``_create_function_from_graph``. They are as old as TorchScript,
which torch no longer changes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

# A path, the variable's name in that subgraph, and which call of the subgraph is meant.
_Place = tuple[str, str, int]


def script_values(module: torch.jit.ScriptModule, inputs: Sequence[Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Return values of a module's arithmetic subgraphs for one batch.

    The archive keeps the variable names of a traced subgraph: ``head.layers.0.a`` is the variable ``layers_0_a`` in the
    code of the submodule ``head``, and a parameter keeps its own name. For a subgraph that is called several times,
    ``head.layers.0.a#2`` is the value of the second call.

    TorchScript cannot run a graph partially. So the graphs from the root down to the subgraph are run one by one. Each
    is cut at the call of the next graph, and the arguments of that call become its outputs.

    Args:
        module: the loaded archive.
        inputs: the batch.
        names: dotted names; names that the module does not have are skipped.
    """
    parameters = dict(module.state_dict())
    found: dict[str, Tensor] = {}
    for name in dict.fromkeys(names):
        if name in parameters:
            found[name] = parameters[name]
    for path, wanted in _by_part(module, [name for name in names if name not in found]).items():
        calls = list(_calls(module, module.forward.graph, inputs, path.split(".") if path else []))  # type: ignore[attr-defined]
        for name, (_, variable, call) in wanted.items():
            if call <= len(calls):
                part, graph, given = calls[call - 1]
                value = _variable(graph, variable)
                if value is not None:
                    (found[name],) = _run(part, graph, [value], given)
    return found


def _by_part(module: torch.jit.ScriptModule, names: Sequence[str]) -> dict[str, dict[str, _Place]]:
    """Group names by the path of the subgraph whose graph has them.

    A traced subgraph is inlined as a whole: ``head.layers`` is a submodule too, but its graph is never called. The
    subgraph is the submodule with the shortest path whose graph has the variable.
    """
    parts: dict[str, dict[str, _Place]] = {}
    graphs = {path: part for path, part in module.named_modules() if _graph(part) is not None}
    for name in names:
        dotted, _, call = name.partition("#")
        words = dotted.split(".")
        for split in range(len(words)):
            path, variable = ".".join(words[:split]), "_".join(words[split:])
            if path in graphs and _variable(_graph(graphs[path]), variable) is not None:
                parts.setdefault(path, {})[name] = (path, variable, int(call) if call.isdigit() else 1)
                break
    return parts


def _graph(module: Any) -> Any:
    """Return the graph of ``forward``, ``None`` for a container without one."""
    try:
        return module.forward.graph
    except (AttributeError, RuntimeError):
        return None


def _variable(graph: Any, name: str) -> Any:
    """Return the tensor of that name; reading an archive may add a suffix to names, ``a.1``."""
    for node in graph.nodes():
        for value in node.outputs():
            base, _, suffix = value.debugName().rpartition(".")
            if name == (base if base and suffix.isdigit() else value.debugName()) and _is_tensor(value):
                return value
    return None


def _is_tensor(value: Any) -> bool:
    return isinstance(value.type(), torch.TensorType)


def _calls(
    module: Any, graph: Any, inputs: Sequence[Tensor], path: list[str]
) -> Iterator[tuple[Any, Any, Sequence[Tensor]]]:
    """Yield every call of a submodule: the submodule, the graph of the method, and the arguments."""
    if not path:
        yield module, graph, inputs
        return
    for node in graph.nodes():
        if node.kind() != "prim::CallMethod":
            continue
        receiver, *given = node.inputs()
        steps = _path(receiver)
        if steps and path[: len(steps)] == steps:
            arguments = _run(module, graph, given, inputs)
            submodule = module
            for step in steps:
                submodule = getattr(submodule, step)
            inner = submodule._c._get_method(node.s("name")).graph
            yield from _calls(submodule, inner, arguments, path[len(steps) :])


def _path(value: Any) -> list[str]:
    """Return the attribute names from a graph's own ``self`` to a submodule."""
    steps: list[str] = []
    while value.node().kind() == "prim::GetAttr":
        steps.insert(0, value.node().s("name"))
        value = value.node().input()
    return steps


def _run(module: Any, graph: Any, values: Sequence[Any], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Compute some values of a method's graph for some inputs, and nothing after these values."""
    cut = graph.copy()
    # A copy renumbers unnamed values; their order stays the same.
    copies = {old.debugName(): new for old, new in zip(_all_values(graph), _all_values(cut), strict=True)}
    for _ in list(cut.outputs()):
        cut.eraseOutput(0)
    for value in values:
        cut.registerOutput(copies[value.debugName()])
    torch._C._jit_pass_dce(cut)
    function = torch._C._create_function_from_graph("values", cut)
    result = function(module._c, *inputs)
    return [result] if isinstance(result, Tensor) else list(result)


def _all_values(graph: Any) -> list[Any]:
    return [*graph.inputs(), *(value for node in graph.nodes() for value in node.outputs())]
