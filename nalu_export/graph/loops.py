"""Loops over the steps of a sequence, from ``scan`` in a ``torch.export`` graph: one graph serves all steps."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from nalu_export.graph.evaluation import Values, attribute, result_nodes, results_of, run
from nalu_export.graph.module import graph_module_of
from nalu_export.graph.places import Call, note, stack_of
from nalu_export.graph.spelling import canonicalise
from nalu_export.graph.spelling.canonical import primitive_of

SCAN, WHILE = torch.ops.higher_order.scan, torch.ops.higher_order.while_loop
# Largest number of steps that a loop may be unrolled to.
MAX_STEPS = 256


class Loop(nn.Module):
    """Runs a graph (a step) once for each entry of the first axis of the scanned tensors.

    Its inputs are the carried values (the state), the scanned tensors, and the values that are the same in every step.
    Its outputs are the carried values after the last step, and the other results of all steps, stacked.

    Attributes:
        body: one step. It takes the carried values, one entry of each scanned tensor, and the values that are the same
            in every step. It returns the new carried values and the results.
        carried: number of carried values.
        scanned: number of scanned tensors.
    """

    def __init__(self, body: fx.GraphModule, carried: int, scanned: int) -> None:
        super().__init__()
        self.body, self.carried, self.scanned = body, carried, scanned

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the loop, see :class:`Loop`."""
        state, given, rest = self.parts(tensors)
        results: list[list[Tensor]] = []
        for step in range(len(given[0])):
            found = self.body(*state, *(x[step] for x in given), *rest)
            found = found if isinstance(found, tuple) else (found,)
            state = list(found[: self.carried])
            results.append(list(found[self.carried :]))
        return (*state, *(torch.stack(list(each)) for each in zip(*results, strict=True)))

    def parts(self, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Split ``values`` into the carried ones, the scanned ones, and those that are the same in every step."""
        end = self.carried + self.scanned
        return list(values[: self.carried]), list(values[self.carried : end]), list(values[end:])


def loops_of(module: nn.Module) -> Iterator[tuple[str, Loop]]:
    """Yield the loops of a graph module with their paths."""
    return ((path, found) for path, found in module.named_modules() if isinstance(found, Loop))


def over_bodies(module: nn.Module, change: Callable[[fx.GraphModule], fx.GraphModule]) -> None:
    """Replace the body of every loop by ``change(body)``; in place."""
    for _, loop in loops_of(module):
        loop.body = change(loop.body)


def bring_loops(flat: fx.GraphModule, example: Sequence[Tensor]) -> None:
    """Replace each scan of an exported graph by a call of a :class:`Loop` if its step is made of primitives; in place.

    Any other scan, and each ``while_loop``, is unrolled to the steps of the example.

    Args:
        flat: the graph that ``torch.export`` returned.
        example: a batch of each input.

    Raises:
        ValueError: a loop has too many steps to be unrolled.
    """
    calls = [node for node in flat.graph.nodes if node.target in (SCAN, WHILE)]
    if not calls:
        return
    values = run(flat, *example)
    for number, node in enumerate(calls):
        if node.target is WHILE:
            condition, source, carried, extra = node.args
            step = _step(flat, node, source, carried, (), extra)
            _unroll(flat, node, step, _count(flat, condition, step, extra, values))
        else:
            source, carried, scanned, extra = node.args
            step = _step(flat, node, source, carried, scanned, extra)
            _bring_scan(flat, node, step, values, f"loop_{number}" if number else "loop")
        flat.graph.erase_node(node)
    flat.graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    flat.recompile()


def _bring_scan(flat: fx.GraphModule, node: fx.Node, step: "_Step", values: Values, name: str) -> None:
    body, carried, scanned, rest = step
    given = [*(values[x] for x in carried), *(values[x][0] for x in scanned), *(values[x] for x in rest)]
    canonicalise(body, run(body, *given))
    if not all(primitive_of(each) is not None for each in body.graph.nodes if each.op.startswith("call_")):
        _unroll(flat, node, step, len(values[scanned[0]]))
        return
    flat.add_module(name, Loop(body, len(carried), len(scanned)))
    with flat.graph.inserting_before(node):
        result = flat.graph.call_module(name, (*carried, *scanned, *rest))
    result.meta = dict(node.meta)
    node.replace_all_uses_with(result)


def _count(flat: fx.GraphModule, condition: fx.Node, step: "_Step", extra: Sequence[fx.Node], values: Values) -> int:
    """Return the number of steps of a ``while_loop`` for the example."""
    graph = attribute(flat, str(condition.target))
    state, rest = [values[x] for x in step.carried], [values[x] for x in step.rest]
    every = [values[x] for x in extra]
    for count in range(MAX_STEPS + 1):
        if not bool(results_of(graph, *state, *every)[0]):
            return count
        state = list(results_of(step.body, *state, *rest))
    raise ValueError(f"a while_loop takes more than {MAX_STEPS} steps, the most that are unrolled")


class _Step(NamedTuple):
    """The body of a loop, and the nodes that are its arguments."""

    body: fx.GraphModule
    carried: list[Any]
    scanned: list[Any]
    rest: list[Any]


def _step(flat: fx.GraphModule, node: fx.Node, source: fx.Node, carried: Any, scanned: Any, extra: Any) -> _Step:
    """Return the body of a loop as a graph module that contains the parameters it reads, with its arguments."""
    combine = attribute(flat, str(source.target))
    graph, held, rest = fx.Graph(), dict[str, Any](), list[Any]()
    known: dict[fx.Node, fx.Node] = {}
    places = [each for each in combine.graph.nodes if each.op == "placeholder"]
    for place, outer in zip(places, [*carried, *scanned, *extra], strict=True):
        if outer in extra and outer.op == "get_attr":
            held[str(outer.target)] = attribute(flat, str(outer.target))
            known[place] = graph.get_attr(str(outer.target))
            continue
        known[place] = graph.placeholder(place.name)
        if outer in extra:
            rest.append(outer)
    path = _common_path(held)
    stack = (Call(path, 0, type(flat.get_submodule(path))),) if path else stack_of(node)
    for each in combine.graph.nodes:
        if each.op == "output":
            results = fx.node.map_arg(tuple(each.args[0]), known.__getitem__)
            graph.output(results[0] if len(results) == 1 else results)
        elif each not in known:
            known[each] = graph.node_copy(each, known.__getitem__)
            known[each].meta = {}
            note(known[each], stack, None)
            if each.op == "get_attr":
                held[str(each.target)] = attribute(combine, str(each.target))
    return _Step(graph_module_of(held, graph, "Step"), list(carried), list(scanned), rest)


def _common_path(names: Sequence[str] | dict[str, Any]) -> str:
    """Return the path of the innermost module that contains all these parameters."""
    paths = [name.split(".")[:-1] for name in names]
    shared = []
    for steps in zip(*paths, strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return ".".join(shared)


def _unroll(flat: fx.GraphModule, node: fx.Node, step: _Step, steps: int) -> None:
    """Replace a loop by the nodes of all its steps, one step after the other."""
    if steps > MAX_STEPS:
        raise ValueError(
            f"a loop takes {steps} steps, and at most {MAX_STEPS} are unrolled; a longer loop is exported "
            "only if its step consists of primitives"
        )
    graph, body, state = flat.graph, step.body, list(step.carried)
    results: list[list[Any]] = []
    for target in [str(each.target) for each in body.graph.nodes if each.op == "get_attr"]:
        if not hasattr(flat, target.partition(".")[0]):
            flat.register_buffer(target, attribute(body, target))
    with graph.inserting_before(node):
        for place in range(steps):
            entries = [graph.call_function(torch.select, (x, 0, place)) for x in step.scanned]
            places = (each for each in body.graph.nodes if each.op == "placeholder")
            known: dict[fx.Node, Any] = dict(zip(places, [*state, *entries, *step.rest], strict=True))
            for each in body.graph.nodes:
                if each.op not in ("placeholder", "output"):
                    known[each] = graph.node_copy(each, known.__getitem__)
            found = [known[each] for each in result_nodes(body.graph)]
            state = found[: len(step.carried)]
            results.append(found[len(step.carried) :])
        stacked = [graph.call_function(torch.stack, (list(each),)) for each in zip(*results, strict=True)]
    together = [*state, *stacked]
    for user in list(node.users):
        user.replace_all_uses_with(together[user.args[1]])  # type: ignore[index]
        graph.erase_node(user)
