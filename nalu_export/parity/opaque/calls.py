"""The opaque calls of a graph: their values, and the largest error of a correct evaluation."""

import operator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.graph import part_of, primitive_of
from nalu_export.parity.opaque import activations, averages, linear_maps, norms, selections, softmaxes
from nalu_export.parity.opaque.allowance import Allowance, Rule
from nalu_export.parity.opaque.call import Call, is_number, mapped, over_tensors, tensors, value_of
from nalu_export.parity.opaque.followed import PASSED_ON, Followed, Singles
from nalu_export.parity.opaque.measured import Measurement
from nalu_export.parity.opaque.wholes import decided, over_whole, undecided_at
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned, settle
from nalu_export.primitives.precision import Precision

RULES: dict[str, Rule] = {
    **activations.RULES, **averages.RULES, **linear_maps.RULES, **norms.RULES, **selections.RULES, **softmaxes.RULES,
}  # fmt: skip
_FLAGS = ("overflow", "lost", "zero")
_TENSORS = [field.name for field in fields(Conditioned) if field.name not in ("least", "memory")]


@dataclass(frozen=True)
class _Place:
    """The position of an opaque call in its graph.

    Attributes:
        behind: whether errors of another opaque call reach it; those are known from perturbed evaluations only.
        outside: whether it depends on no arithmetic subgraph, so that it has the same value for all profiles.
    """

    behind: bool
    outside: bool


class OpaqueCalls:
    """Evaluates the opaque nodes of a float64 graph and adds their error to ``D`` and to the radius.

    A rule gives the error of a call by a formula; the error of a call without a rule is measured
    (:mod:`nalu_export.parity.opaque.measured`). A formula also propagates errors of the inputs that come from an
    arithmetic subgraph or the model's input, and all errors where the formula does not grow with depth. Other errors
    are propagated by perturbed evaluations (:mod:`nalu_export.parity.opaque.followed`). Calls that average take the
    smaller of both. Errors of calls that only move numbers move with the numbers.

    Attributes:
        present: whether the graph has any opaque node.
        measures: whether a call without a rule had to be measured so far.

    Args:
        graph_module: a graph in float64.
    """

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._places = _places(graph_module.graph)
        self.present = bool(self._places)
        self.measures = False
        self._singles = Singles()
        self._measurement = Measurement(self._singles)
        self._followed: Followed | None = None
        self._ruled: dict[str, bool] = {}
        # The same call on the same input is analysed for several profiles.
        self._memory: dict[str, tuple[list[Tensor], Precision, Any, Any]] = {}

    def calibrating(self) -> AbstractContextManager[None]:
        """Return a context in which calls are measured in float32 too."""
        self._memory.clear()
        return self._measurement.calibrating()

    def __call__(self, node: fx.Node, known: dict[fx.Node, Any], precision: Precision) -> Any:
        """Return the result of one opaque node: conditioned, or as it is if it is no float tensor."""
        call = Call(self._graph_module, node, known)
        if not call.inputs and (call.module is None or isinstance(call.module, nn.Embedding)):
            # A tensor that forward makes in float32 meets float64 tensors here.
            made = call.run(value_of)
            return over_tensors([made], lambda value: Conditioned.exact(value.double())) if tensors(made) else made
        if self._measurement.calibrates and self._ruled.get(node.name):
            # Calibration needs only the values, which later calls take as inputs.
            return Conditioned.exact(call.run(value_of))
        followed = self._walk(known, precision)
        if node.target is operator.getitem and not isinstance(call.argument("input"), Conditioned):
            followed.settle(node, None)
            return call.run_on(known.__getitem__)  # one of several results
        if selections.moves(call):
            followed.settle(node, None)
            return _where_decided(call, _moved(call, known))
        result, own = self._remembered(call, followed)
        followed.settle(node, own)
        return _where_decided(call, result)

    def _walk(self, known: dict[fx.Node, Any], precision: Precision) -> Followed:
        found = self._followed
        if found is None or found.known is not known or found.precision != precision:
            found = self._followed = Followed(self._graph_module, known, precision, self._singles)
        return found

    def _remembered(self, call: Call, followed: Followed) -> tuple[Any, Any]:
        """Return result and own error of a call, from memory if its input is that of the last call."""
        name, place = call.node.name, self._places[call.node.name]
        inputs = [x for node, x in followed.known.items() if node.op == "placeholder"]
        given = [x.value if isinstance(x, Conditioned) else x for x in inputs]
        if place.outside and name in self._memory:
            before, precision, result, own = self._memory[name]
            if precision == followed.precision and _same(before, given):
                return result, own
        result, own = self._evaluated(call, followed)
        if place.outside:
            self._memory[name] = (given, followed.precision, result, own)
        return result, own

    def _evaluated(self, call: Call, followed: Followed) -> tuple[Any, Any]:
        value = call.run(value_of)
        if not any(is_number(part) for part in tensors(value)):
            return (decided(call, value) if tensors(value) else value), None
        rule = RULES.get(call.name)
        allowance = rule(call, value, followed.precision) if rule is not None and is_number(value) else None
        self._ruled[call.node.name] = allowance is not None
        if allowance is None:
            self.measures = True
            own = self._measurement.own(call, value, followed.precision)
            change = followed.change(call, value)
            behind = self._places[call.node.name].behind
            result = over_tensors([value, own, change], lambda *parts: _measured(call, *parts, behind=behind))
            return decided(call, result), own
        behind = self._places[call.node.name].behind
        return _settled(call, value, allowance, followed, behind=behind), allowance.own


def _where_decided(call: Call, result: Any) -> Any:
    """Mark a sample as lost where a mask or integer may have another value; results derived from it are undecided."""
    undecided = [mask for mask in call.undecided() if bool(mask.any())]
    if not undecided:
        return result

    def of_samples(value: Tensor) -> Tensor:
        found = torch.zeros_like(value, dtype=torch.bool)
        for mask in undecided:
            alike = mask.ndim > 0 and value.ndim > 0 and len(mask) == len(value)
            rows = mask.flatten(1).any(dim=1) if alike and mask.ndim > 1 else mask if alike else mask.any()
            found = found | rows.reshape(-1, *[1] * (value.ndim - 1))
        return found

    def where(c: Conditioned) -> Conditioned:
        lost = of_samples(c.value)
        return replace(c, radius=c.radius.masked_fill(lost, torch.inf), lost=c.lost.masked_fill(lost, 1))

    return mapped(over_whole(result, lambda whole: undecided_at(whole, of_samples(whole))), where)


def _settled(call: Call, value: Tensor, allowance: Allowance, followed: Followed, *, behind: bool) -> Conditioned:
    """Return the result of a call that has a rule."""
    own, carry = allowance.own, allowance.carry
    if carry is None or (behind and allowance.follow == "always"):
        radius = own + _passed_on(behind) * followed.change(call, value)
        return settle(value, value.abs(), radius / ROUNDOFF + value.abs(), radius, call.inputs)
    carried = carry(lambda c: c.radius)
    if behind and allowance.follow == "less":
        carried = torch.minimum(carried, followed.change(call, value))
    error = (own + carry(lambda c: ROUNDOFF * c.error)) / ROUNDOFF
    return settle(value, value.abs(), error + value.abs(), own + carried, call.inputs)


def _passed_on(behind: bool) -> float:
    return 1.0 if behind else PASSED_ON


def _measured(call: Call, value: Tensor, own: Tensor, change: Tensor, *, behind: bool) -> Conditioned:
    radius = own + _passed_on(behind) * change
    return settle(value, value.abs(), radius / ROUNDOFF + value.abs(), radius, call.inputs)


def _moved(call: Call, known: dict[fx.Node, Any]) -> Any:
    """Return the result of a call that moves numbers: their error bounds and flags move with them."""

    def part(name: str) -> Any:
        return call.run_on(lambda node: _attribute(known[node], name))

    return _joined([part(name) for name in _TENSORS])


def _attribute(value: Any, name: str) -> Any:
    """Return one attribute of an argument; a constant argument is exact."""
    if is_number(value) and name != "value":
        return value.abs() if name == "size" else torch.zeros_like(value)
    # In the type of the value, because not every function accepts the type of the flags.
    return mapped(value, lambda c: getattr(c, name).to(c.value.dtype).expand(c.value.shape))


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], (tuple, list)):
        return tuple(_joined(list(each)) for each in zip(*parts, strict=True))
    if not is_number(parts[0]):
        return parts[0]
    found = dict(zip(_TENSORS, parts, strict=True))
    return Conditioned(**found | {name: found[name].to(torch.int8) for name in _FLAGS})


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _places(graph: fx.Graph) -> dict[str, _Place]:
    """Return the position of each opaque call."""
    tainted: set[fx.Node] = set()
    inside: set[fx.Node] = set()  # in or behind an arithmetic subgraph
    behind: dict[str, bool] = {}
    outside: dict[str, bool] = {}
    for node in graph.nodes:
        opaque = node.op.startswith("call_") and primitive_of(node) is None
        reached = any(argument in tainted for argument in node.all_input_nodes)
        if opaque:
            behind[node.name] = reached
            outside[node.name] = not any(argument in inside for argument in node.all_input_nodes)
        if part_of(node) is not None or any(argument in inside for argument in node.all_input_nodes):
            inside.add(node)
        if part_of(node) is None and (opaque or reached):
            tainted.add(node)
    return {name: _Place(behind[name], outside[name]) for name in behind}
