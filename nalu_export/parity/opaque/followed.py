"""Error propagation by perturbed evaluations, in which the result of every call is off by its allowance.

A bound that takes ``|W|`` of every layer grows with each layer, because it lets all errors conspire anew in each. It
says nothing about a deep network. Instead the whole graph is evaluated again, a few times, from the input on. Each
result is moved by its own allowance in a direction that is chosen once for each node: all up, all down, the same within
a channel, or random. The largest change of a value is taken as the effect of the errors of all calls together.

The evaluations are in float32: an allowance is several of its roundoffs, so that float32's own errors only add to it.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.graph import part_of, primitive_of
from nalu_export.modules.copying import copied
from nalu_export.parity.opaque.allowance import KERNEL
from nalu_export.parity.opaque.call import Call, leaves, mapped, over_tensors, tensors
from nalu_export.parity.opaque.measured import pooled, root_mean_square
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Precision

DIRECTIONS = 6
ALIKE = 2  # of these, with one sign per channel; the first two directions are all up and all down
# Signs are cut from one sequence, because drawing them would take longer than the evaluations.
SIGNS = 2**20
# The directions that are tried are not the worst ones. Errors of opaque calls reach at most half of their allowances,
# mostly a twentieth. Bounds of arithmetic subgraphs may be reached, so the change they cause is multiplied by this.
PASSED_ON = 2.0

# A value is too uncertain for a few perturbations if its radius exceeds this share of its size and of its sample's root
# mean square. Results behind it may be anything. A gate σ(z) with z = 10⁶ − 10⁶ is an example.
UNSURE = 2.0**-6

Known = Mapping[fx.Node, Any]


class Singles:
    """The modules of a graph in float32, copied on first use."""

    def __init__(self) -> None:
        self._found: dict[str, nn.Module] = {}

    def __call__(self, call: Call) -> nn.Module | None:
        """Return the module of a call in float32, ``None`` for a function."""
        if call.module is None:
            return None
        target = str(call.node.target)
        if target not in self._found:
            self._found[target] = copied(call.module).float()
        return self._found[target]


class Followed:
    """The perturbed evaluations of one analysis of a graph.

    Args:
        graph_module: the graph.
        known: the results of its nodes; the analysis adds to it.
        precision: the precision of the evaluation.
        singles: the graph's modules in float32.
    """

    def __init__(self, graph_module: fx.GraphModule, known: Known, precision: Precision, singles: Singles) -> None:
        self._graph_module, self.known, self.precision, self._singles = graph_module, known, precision, singles
        self._runs: dict[str, list[Any]] = {}
        self._made: set[str] = set()
        self._carried: dict[str, list[Any]] = {}
        self._own: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}

    def settle(self, node: fx.Node, own: Any) -> None:
        """Set the own error of a call, ``None`` for an exact one; its perturbed values are computed on demand."""
        self._own[node.name] = own

    def change(self, call: Call, result: Any) -> Any:
        """Return how far the errors of a call's arguments move its result."""
        runs = self._carried[call.node.name] = self._of_call(call)
        if _exact(runs):
            return over_tensors([result], torch.zeros_like)
        return over_tensors([result, *runs], _largest_change)

    def runs(self, node: fx.Node) -> list[Any]:
        """Return the perturbed values of a node, one for each direction; all the same object if the node is exact."""
        if node.name not in self._runs:
            self._runs[node.name] = self._make(node)
            self._made.add(node.name)
            for argument in node.all_input_nodes:
                self._drop(argument)
        return self._runs[node.name]

    def _drop(self, node: fx.Node) -> None:
        """Free the perturbed values of a node once those of all its readers are computed."""
        readers = [user for user in node.users if user.op.startswith("call_") and part_of(user) is None]
        if all(user.name in self._made for user in readers):
            self._runs.pop(node.name, None)

    def _make(self, node: fx.Node) -> list[Any]:
        known = self.known[node]
        if not leaves(known):
            return [_single(known)] * DIRECTIONS
        if node.name in self._own:
            runs = self._carried.pop(node.name, None) or self._of_call(Call(self._graph_module, node, self.known))
            return self._moved(node, runs, self._own[node.name])
        if primitive_of(node) is not None and part_of(node) is None:
            return self._of_primitive(node, known)
        values = mapped(known, lambda c: _single(c.value))
        reach = _radius if part_of(node) is None else _reach
        return self._moved(node, [values] * DIRECTIONS, mapped(known, reach))

    def _of_call(self, call: Call) -> list[Any]:
        """Return the results on the perturbed arguments, without the call's own error."""
        module = self._singles(call)
        return self._over(call.node, lambda value: call.run_on(value, module))

    def _of_primitive(self, node: fx.Node, known: Conditioned) -> list[Any]:
        primitive = primitive_of(node)
        assert primitive is not None
        function: Callable[..., Any] = getattr(primitive, "evaluate", None) or primitive.function

        def run(value: Callable[[fx.Node], Any]) -> Any:
            found = function(*fx.node.map_arg(node.args, value))
            return _single(found.to(known.value.dtype) if isinstance(found, Tensor) else found)

        results = self._over(node, run)
        exact = fx.node.map_arg(node.args, lambda argument: mapped(self.known[argument], _exactly))
        own = primitive.conditioned(self.precision, *exact).radius
        return self._moved(node, results, own + KERNEL if primitive.name == "sigmoid" else own)

    def _over(self, node: fx.Node, run: Callable[[Callable[[fx.Node], Any]], Any]) -> list[Any]:
        """Evaluate ``run`` in each direction, or once if all arguments are exact."""
        given = {argument: self.runs(argument) for argument in node.all_input_nodes}
        if all(_exact(runs) for runs in given.values()):
            return [run(lambda argument: given[argument][0])] * DIRECTIONS
        return [run(_picked(given, k)) for k in range(DIRECTIONS)]

    def _number(self, node: fx.Node) -> int:
        """Return the number of a call outside the arithmetic subgraphs: a name depends on how modules are nested."""
        if not self._numbers:
            calls = [one for one in node.graph.nodes if one.op.startswith("call_") and part_of(one) is None]
            self._numbers = {one.name: number for number, one in enumerate(calls, 1)}
        return self._numbers.get(node.name, 0)

    def _moved(self, node: fx.Node, values: list[Any], own: Any) -> list[Any]:
        """Return each value moved by ``own`` in its direction."""
        if not any(bool(part.any()) for part in tensors(own)):
            return values
        number, own = self._number(node), _single(own)

        def moved(k: int) -> Any:
            def move(value: Tensor, off: Tensor) -> Tensor:
                return torch.addcmul(value, off, _signs(value.shape, k, DIRECTIONS * number + k))

            return over_tensors([values[k], own], move)

        return [moved(k) for k in range(DIRECTIONS)]


def _picked(given: Mapping[fx.Node, list[Any]], direction: int) -> Callable[[fx.Node], Any]:
    return lambda node: given[node][direction]


def _exact(runs: list[Any]) -> bool:
    return all(run is runs[0] for run in runs)


def _radius(c: Conditioned) -> Tensor:
    return c.radius


def _reach(c: Conditioned) -> Tensor:
    """Return how far to move a subgraph's result: infinitely where it is too uncertain for a few perturbations."""
    size = torch.maximum(c.magnitude, root_mean_square(c.magnitude))
    return torch.where(c.radius > UNSURE * size, torch.inf, c.radius)


def _single(value: Any) -> Any:
    return over_tensors([value], lambda tensor: tensor.float()) if tensors(value) else value


def _exactly(argument: Conditioned) -> Conditioned:
    return Conditioned.exact(argument.value)


def _largest_change(result: Tensor, *runs: Tensor) -> Tensor:
    single = result.float()
    largest = torch.zeros_like(single)
    for run in runs:
        largest = torch.maximum(largest, (run - single).abs())
    # ∞ − ∞ is an unknown change.
    return pooled(torch.where(torch.isnan(largest), torch.inf, largest).double())


def _signs(shape: torch.Size, direction: int, seed: int) -> Tensor:
    """Return signs ±1, the same for every sample, so that a bound does not depend on the other samples of the batch."""
    if direction < 2:
        return torch.tensor(1.0 - 2.0 * direction)
    one = shape[1:]
    if direction < 2 + ALIKE and len(one) > 1:
        one = torch.Size([one[0], *[1] * (len(one) - 1)])
    count = one.numel()
    sequence = _sequence(max(SIGNS, 2 * count))
    start = seed * 7919 % (len(sequence) - count)
    return sequence[start : start + count].reshape(one)


@functools.lru_cache(maxsize=1)
def _sequence(length: int) -> Tensor:
    return torch.randint(0, 2, (length,), generator=torch.Generator().manual_seed(0)).float() * 2.0 - 1.0
