"""Cuts arithmetic subgraphs out of a flat graph: each becomes a graph of its own."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import fx

from nalu_export.graph.evaluation import Values, attribute, result_nodes
from nalu_export.graph.module import graph_module_of
from nalu_export.graph.naming import entry, join, label
from nalu_export.graph.places import Call
from nalu_export.graph.regions import Region


class Spec(NamedTuple):
    """Shape (samples first) and type of an input or output of a subgraph, in the run that captured it."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @staticmethod
    def of(value: torch.Tensor) -> "Spec":
        """Return shape and type of a tensor."""
        return Spec(tuple(value.shape), value.dtype)

    def drawn(
        self, rng: torch.Generator, low: float = 0.1, high: float = 1.0, samples: int | None = None
    ) -> torch.Tensor:
        """Draw such a tensor: uniform floats in float64, random truth values, or zeros for integers."""
        shape = self.shape if samples is None else (samples, *self.shape[1:])
        if self.dtype.is_floating_point:
            return low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)
        if self.dtype == torch.bool:
            return torch.rand(shape, generator=rng) < 0.5
        return torch.zeros(shape, dtype=self.dtype)


@dataclass(frozen=True)
class Subgraph:
    """An arithmetic subgraph.

    Attributes:
        name: for a whole module its path, ``"head"``; for a part of a forward the path of the module followed by
            ``"arithmetic"``; ``""`` for the whole model.
        namespace: prefix of the names of its parameters in the model: ``"head."`` or empty.
        module: its graph of primitives, as the source writes it. Names of parameters lack the namespace; parameters of
            another module have their full names. Labels are relative to the path of the module.
        calls: how often the model runs it.
        why: what makes it arithmetic.
        path: path of the module that is the subgraph, ``None`` for a part of a forward.
        foreign: names of the parameters of other modules.
        type: name of the class of the module that is the subgraph or contains it.
        inputs: its inputs in the run that captured it.
        outputs: its outputs in that run.
        outer: prefix of the paths of its modules, if it was cut out of a larger model; else empty.
        loop: path of the loop whose step it is; empty if it is not the step of a loop.
    """

    name: str
    namespace: str
    module: fx.GraphModule
    calls: int
    why: str
    path: str | None
    foreign: frozenset[str]
    type: str
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    outer: str = ""
    loop: str = ""

    def parameter(self, target: str) -> str:
        """Return the name in the model of a parameter of ``module``."""
        return target if target in self.foreign else self.namespace + target

    @property
    def place(self) -> str:
        """Path of its placeholder in the host model."""
        return self.loop or self.name

    def called(self, call: int) -> str:
        """Return the name of a call: ``"cell"``, or ``"cell#2"`` for ``call = 1`` of several."""
        return self.name if self.calls == 1 else f"{self.name}#{call + 1}"


@dataclass(frozen=True)
class Part:
    """A region, its subgraph, and its number among the calls of that subgraph."""

    region: Region
    subgraph: Subgraph
    call: int


@dataclass(frozen=True)
class _Copy:
    """A region, copied into a graph of its own.

    Attributes:
        graph: the graph, including the nodes that compute constants from parameters.
        tensors: the tensors that it reads, and modules that compute weights, by name in the model.
        nodes: the copy of each node of the model.
    """

    graph: fx.Graph
    tensors: dict[str, Any]
    nodes: dict[fx.Node, fx.Node]


def extracted(
    graph_module: fx.GraphModule, regions: Sequence[Region], values: Values, reserved: Collection[str] = ()
) -> list[Part]:
    """Return each region with its subgraph. Calls of one module that run the same graph share a subgraph.

    The nodes of the model get labels, and the name of the subgraph that computes them.

    Args:
        graph_module: a flat graph.
        regions: regions of that graph.
        values: values of its nodes in one run.
        reserved: names that no value of a subgraph may have if that subgraph is the whole model.
    """
    parts: list[Part] = []
    names = _Names(graph_module)
    for group in _groups(regions):
        copies = [_copied(graph_module, region, values) for region in group]
        if len({_signature(copy.graph) for copy in copies}) == 1:
            parts += _parts(group, copies, names.of(group[0]), values, reserved)
        else:  # a module whose second call computes something else
            for region, copy in zip(group, copies, strict=True):
                parts += _parts([region], [copy], names.of(region), values, reserved)
    return parts


def _groups(regions: Sequence[Region]) -> Iterator[list[Region]]:
    """Group regions that may be calls of one subgraph: the k-th region in each call of the same module."""
    groups: dict[tuple[str, bool, int], list[Region]] = {}
    counts: dict[tuple[Call, bool], int] = {}
    for region in regions:
        place = counts[region.call, region.whole] = counts.get((region.call, region.whole), -1) + 1
        groups.setdefault((region.call.path, region.whole, place), []).append(region)
    yield from groups.values()


def _parts(
    group: Sequence[Region], copies: Sequence[_Copy], name: str, values: Values, reserved: Collection[str]
) -> list[Part]:
    first, copy = group[0], copies[0]
    path = first.call.path
    namespace = f"{path}." if path else ""
    for node in copy.graph.nodes:
        if node.op in ("get_attr", "call_module"):
            node.target = str(node.target).removeprefix(namespace)
    label(copy.graph, path, () if name else reserved)
    subgraph = Subgraph(
        name,
        namespace,
        graph_module_of({target.removeprefix(namespace): value for target, value in copy.tensors.items()}, copy.graph),
        len(group),
        first.why,
        path if first.whole and name == path else None,
        frozenset(target for target in copy.tensors if not target.startswith(namespace)),
        first.call.type.__name__,
        tuple(Spec.of(values[node]) for node in inputs_of(first)),
        tuple(Spec.of(values[node]) for node in outputs_of(first)),
    )
    for call, region in enumerate(group):
        # Constants are computed once for all calls.
        same = copy.nodes if call == 0 else _twins(region, first, copy)
        for node, twin in same.items():
            if "label" in twin.meta and "label" not in node.meta:
                node.meta["label"] = join(subgraph.called(call), twin.meta["label"])
                node.meta["formula"] = twin.meta["formula"]
        for place, node in enumerate(inputs_of(region)):
            node.meta.setdefault("entry", join(subgraph.called(call), entry(place)))
        for node in region.nodes:
            node.meta["part"] = subgraph.called(call)
    return [Part(region, subgraph, call) for call, region in enumerate(group)]


def _twins(region: Region, first: Region, copy: _Copy) -> dict[fx.Node, fx.Node]:
    """Return the node in the copy of the first region for each node of another region with the same graph."""
    return {node: copy.nodes[other] for node, other in zip(region.nodes, first.nodes, strict=True)}


class _Names:
    """Gives names to subgraphs: the first subgraph of a whole module has its path; any other has an unused name."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._taken = {name for name, _ in graph_module.named_modules()} | graph_module.state_dict().keys()
        self._given: set[str] = set()

    def of(self, region: Region) -> str:
        path = region.call.path
        name = path if region.whole else join(path, "arithmetic")
        if name in self._given or (name in self._taken and not region.whole):
            taken = self._taken | self._given
            name = next(f"{name}_{k}" for k in range(2, len(taken) + 3) if f"{name}_{k}" not in taken)
        self._given.add(name)
        return name


def inputs_of(region: Region) -> list[fx.Node]:
    """Return the inputs of a region: the data that it reads but does not compute; for a whole model, its inputs."""
    if _is_model(region):
        return [node for node in region.nodes[0].graph.nodes if node.op == "placeholder"]
    inside = set(region.nodes)
    wanted: dict[fx.Node, None] = {}
    for node in region.nodes:
        for argument in node.all_input_nodes:
            if argument not in inside and not _is_constant(argument):
                wanted[argument] = None
    return list(wanted)


def outputs_of(region: Region) -> list[fx.Node]:
    """Return the nodes of a region that others read, in order; for a whole model, all of its results."""
    if _is_model(region):
        return list(result_nodes(region.nodes[0].graph))
    inside = set(region.nodes)
    return [node for node in region.nodes if any(user not in inside for user in node.users)]


def _is_model(region: Region) -> bool:
    return region.whole and not region.call.path


def _is_constant(node: fx.Node) -> bool:
    if node.op == "placeholder":
        return False
    if "constant" not in node.meta:
        node.meta["constant"] = all(map(_is_constant, node.all_input_nodes))
    found: bool = node.meta["constant"]
    return found


def _copied(graph_module: fx.GraphModule, region: Region, values: Values) -> _Copy:
    graph = fx.Graph()
    known: dict[fx.Node, fx.Node] = {}
    tensors: dict[str, Any] = {}
    for place, node in enumerate(inputs_of(region)):
        known[node] = graph.placeholder(entry(place))
        known[node].meta = {"dtype": values[node].dtype}

    needed, waiting = set[fx.Node](), [*region.nodes, *outputs_of(region)]
    while waiting:
        node = waiting.pop()
        if node not in needed and node not in known:
            needed.add(node)
            waiting += node.all_input_nodes
    # In the order of the source, so that the nodes of a statement stay together.
    for node in graph_module.graph.nodes:
        if node not in needed:
            continue
        if node.op in ("get_attr", "call_module"):  # a module call in here computes a weight
            tensors[str(node.target)] = attribute(graph_module, str(node.target))
        known[node] = graph.node_copy(node, known.__getitem__)
    results = [known[node] for node in outputs_of(region)]
    graph.output(results[0] if len(results) == 1 else tuple(results))
    return _Copy(graph, tensors, known)


def _signature(graph: fx.Graph) -> str:
    """Return a text that is equal for equal graphs, independent of where they read their parameters."""
    known: dict[fx.Node, str] = {}
    rows: list[str] = []
    for node in graph.nodes:
        target = "" if node.op == "placeholder" else str(node.target)
        text = f"{node.op} {target} {fx.node.map_arg(node.args, known.__getitem__)}"
        if node.op != "placeholder" and _is_constant(node):
            known[node] = hashlib.sha256(text.encode()).hexdigest()
        else:
            known[node] = f"%{len(rows)}"
            rows.append(text)
    return "\n".join(rows)
