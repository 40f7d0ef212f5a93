"""Finds the arithmetic subgraphs of a flat graph.

This package lowers arithmetic subgraphs itself and never hands them to a general optimizer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, fx, nn
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase

from nalu_export.errors import InputError, UnsupportedLayerError, option
from nalu_export.graph.constants import parameter_nodes
from nalu_export.graph.evaluation import Values
from nalu_export.graph.places import Call, stack_of
from nalu_export.graph.spelling.canonical import primitive_of
from nalu_export.graph.spelling.describe import spelling_of
from nalu_export.graph.spelling.names import ACTIVATIONS
from nalu_export.graph.spelling.shaping import shaping
from nalu_export.nn import ArithmeticLayer
from nalu_export.primitives import PRIMITIVES

Target = str | type[nn.Module]


@dataclass(frozen=True)
class Region:
    """One run of an arithmetic subgraph; a module that is called twice gives two regions.

    Attributes:
        nodes: its nodes that depend on the input, in order.
        call: the call of the module that is the region or contains it.
        whole: whether the region is the whole forward of the module.
        why: what makes it arithmetic, in words.
    """

    nodes: tuple[fx.Node, ...]
    call: Call
    whole: bool
    why: str


class Finder:
    """Finds regions in one graph.

    A seed is a node that makes the code around it arithmetic, such as a logarithm of data. A region grows around it.

    Args:
        graph_module: a flat graph of primitives and opaque ops.
        values: values of its nodes in one run.
    """

    def __init__(self, graph_module: fx.GraphModule, values: Values) -> None:
        self._graph_module = graph_module
        nodes = list(graph_module.graph.nodes)
        self._order = {node: place for place, node in enumerate(nodes)}
        self._data: set[fx.Node] = set()
        for node in nodes:
            if node.op == "placeholder" or any(argument in self._data for argument in node.all_input_nodes):
                self._data.add(node)
        self._computing = [node for node in nodes if node in self._data and node.op.startswith("call_")]
        self._arithmetic = {
            node for node in self._computing if primitive_of(node) is not None and isinstance(values.get(node), Tensor)
        }
        self._calls: dict[tuple[str, int], list[fx.Node]] = {}
        for node in self._computing:
            for call in stack_of(node):
                self._calls.setdefault((call.path, call.number), []).append(node)

    def find(self) -> list[Region]:
        """Return the regions around all seeds, in the order of the graph.

        A region is the largest module around its seed that consists of primitives. If there is no such module, the
        region is a part of a larger forward.

        Raises:
            UnsupportedLayerError: an :class:`ArithmeticLayer` computes something that is not a primitive.
        """
        regions: list[Region] = []
        taken: set[fx.Node] = set()
        seeds = {node: why for node in self._computing if (why := self._seed(node))}
        # A faux NAC is only a matrix product. A plain matrix product is a seed only in a model without other seeds.
        seeds = seeds or {node: why for node in self._computing if (why := self._own_product(node))}
        for node, why in seeds.items():
            if node in taken:
                continue
            call = self._largest(node)
            if call is not None:
                layer = next((held for held in stack_of(node) if issubclass(held.type, ArithmeticLayer)), None)
                why = why if layer is None else f"{layer.type.__name__} is a layer of nalu_export.nn"
                regions.append(self._whole(call, why))
                taken.update(regions[-1].nodes)
        left = {node: why for node, why in seeds.items() if node not in taken}
        regions += self._inline(left, taken)
        return sorted(regions, key=lambda region: self._order[region.nodes[0]])

    def chosen(self, targets: Sequence[Target]) -> list[Region]:
        """Return the regions of the modules that the user names by class or path.

        Raises:
            InputError: a name is not that of a module that runs.
            UnsupportedLayerError: the forward of a named module contains something that is not a primitive.
        """
        regions: list[Region] = []
        for target in targets:
            found = self._of_target(target)
            if not found:
                name = target if isinstance(target, str) else target.__name__
                raise InputError(
                    f"{option('arithmetic')} is {name!a}, but the model runs no module of that path or class; "
                    f"it runs {self._paths()}"
                )
            regions += [self._whole(call, "the user named it") for call in found]
        kept: list[Region] = []
        for region in sorted(regions, key=lambda region: (self._order[region.nodes[0]], -len(region.nodes))):
            if not any(set(region.nodes) <= set(other.nodes) for other in kept):
                kept.append(region)
        return kept

    def _of_target(self, target: Target) -> list[Call]:
        found: dict[tuple[str, int], Call] = {}
        for node in self._computing:
            for call in stack_of(node):
                if call.path == target or (isinstance(target, type) and issubclass(call.type, target)):
                    found.setdefault((call.path, call.number), call)
        return list(found.values())

    def _paths(self) -> str:
        paths = dict.fromkeys(path for path, _ in self._calls if path)
        return ", ".join(map(ascii, paths)) or "only the model itself, ''"

    def _whole(self, call: Call, why: str) -> Region:
        nodes = self._calls[call.path, call.number]
        alien = next((node for node in nodes if node not in self._arithmetic), None)
        if alien is not None:
            name = call.type.__name__
            raise UnsupportedLayerError(
                f"{name} calls {spelling_of(alien)}, which is not a primitive; "
                f"write it with: {', '.join(name for name in PRIMITIVES if name != 'cast')}"
            )
        return Region(tuple(nodes), call, True, why)

    def _seed(self, node: fx.Node) -> str:
        """Return why a node is a seed, in words; empty if it is not a seed."""
        layer = next((call for call in stack_of(node) if issubclass(call.type, ArithmeticLayer)), None)
        if layer is not None:
            return f"{layer.type.__name__} is a layer of nalu_export.nn"
        # A general exporter handles an activation (an ELU, a softplus) as a whole; its primitives are no seeds.
        if node not in self._arithmetic or node.meta.get("spelled") in ACTIVATIONS:
            return ""
        primitive = primitive_of(node)
        assert primitive is not None
        if primitive.delicate:
            return f"it computes {primitive.name} of a value that depends on the input"
        if primitive.name == "div" and node.args[1] in self._data:
            return "it divides by a value that depends on the input"
        if primitive.name in ("linear", "mul", "matmul"):
            weight = next((argument for argument in node.all_input_nodes if self._is_shaped(argument)), None)
            return "" if weight is None else f"its weights are computed by {' and '.join(shaping(weight))}"
        return ""

    def _own_product(self, node: fx.Node) -> str:
        """Return why a matrix product outside torch's layers is a seed, in words; empty for any other node."""
        primitive = primitive_of(node) if node in self._arithmetic else None
        if primitive is None or primitive.name != "linear" or stack_of(node)[-1].type.__module__.startswith("torch."):
            return ""
        return "" if node.args[1] in self._data else "it multiplies by a weight matrix outside the layers of torch"

    def _is_shaped(self, node: fx.Node) -> bool:
        return node not in self._data and bool(shaping(node))

    def _largest(self, node: fx.Node) -> Call | None:
        """Return the outermost call around a node that consists of primitives; raise if an ArithmeticLayer does not."""
        for call in stack_of(node):
            if all(other in self._arithmetic for other in self._calls[call.path, call.number]):
                return call
            if issubclass(call.type, ArithmeticLayer):
                self._whole(call, "")  # raises an error that names the call that is not a primitive
        return None

    def _inline(self, seeds: dict[fx.Node, str], taken: set[fx.Node]) -> list[Region]:
        """Return convex regions of a larger forward, around each seed."""
        if not seeds:
            return []
        support = _Support(self._arithmetic - taken)
        partitioner = CapabilityBasedPartitioner(self._graph_module, support, allows_single_node_partition=True)
        regions = []
        for partition in partitioner.propose_partitions():
            nodes = self._trimmed(set(partition.nodes), seeds)
            whys = dict.fromkeys(why for node, why in seeds.items() if node in nodes)
            if whys:
                ordered = tuple(sorted(nodes, key=self._order.__getitem__))
                regions.append(Region(ordered, _common(ordered), False, ", ".join(whys)))
        return regions

    def _trimmed(self, nodes: set[fx.Node], seeds: dict[fx.Node, str]) -> set[fx.Node]:
        """Drop views, reductions and ReLUs at the start of a region, and views at its end."""
        found = set(nodes)
        while True:
            first = {n for n in found if _is_edge(n, reductions=True) and not found & set(n.all_input_nodes)}
            last = {n for n in found if _is_edge(n, reductions=False) and not found & set(n.users)}
            gone = (first | last) - seeds.keys()
            if not gone:
                return found
            found -= gone


class _Support(OperatorSupportBase):
    def __init__(self, nodes: set[fx.Node]) -> None:
        self._nodes = nodes

    def is_node_supported(self, submodules: object, node: fx.Node) -> bool:
        del submodules
        return node in self._nodes


def _is_edge(node: fx.Node, *, reductions: bool) -> bool:
    primitive = primitive_of(node)
    assert primitive is not None
    if primitive.kind in ("shape", "cast"):
        return True
    if not reductions:
        return False
    # max(x, 0) is a ReLU. Any other lower bound may be the ε of a logarithm.
    relu = primitive.name == "clamp" and node.args[1] == 0 and node.args[2] is None
    # A general exporter handles a sum, a mean and an extreme correctly, so a region does not start with one of them.
    return relu or (primitive.kind == "reduction" and not primitive.delicate)


def _common(nodes: Iterable[fx.Node]) -> Call:
    """Return the innermost call that contains all nodes."""
    stacks = [stack_of(node) for node in nodes]
    shared = [calls[0] for calls in zip(*stacks, strict=False) if len({call[:2] for call in calls}) == 1]
    call: Call = shared[-1]
    return call


def left_out(graph: fx.Graph) -> list[str]:
    """Return the paths of modules that compute a delicate primitive of data outside every arithmetic subgraph.

    Each path appears once. There are none unless the user named the subgraphs.
    """
    found: dict[str, None] = {}
    constants = set(parameter_nodes(graph))
    for node in graph.nodes:
        primitive = primitive_of(node)
        delicate = primitive is not None and primitive.delicate and node not in constants
        if delicate and "part" not in node.meta and node.meta.get("spelled") not in ACTIVATIONS:
            found[stack_of(node)[-1].path] = None
    return list(found)
