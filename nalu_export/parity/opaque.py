"""The error of code that is not arithmetic graph (a backbone, a softmax): measured, because no rule knows it."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.graph import primitive_of
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned, settle
from nalu_export.primitives.precision import TF32_FACTOR, Precision

# Another correct float32 implementation sums in another order: its error is like the measured one, not equal.
SAFETY = 8.0
JITTERS = 4
# Signs of the input's error that are tried: all up, all down (which encloses monotone functions), random ones.
DIRECTIONS = 8
PASSED_ON = 2.0
# A scale that is small by chance is at least this share of the sample's.
POOLED = 0.25
_MEANS = (torch.mean, torch.sum)
_MEAN_METHODS = ("mean", "sum")
_LOG_SOFTMAX = (nn.functional.log_softmax, torch.log_softmax, "log_softmax")


class OpaqueCalls:
    """Evaluates the opaque nodes of a float64 graph and measures what they add to ``D`` and to the radius.

    What one float32 rounding of every parameter and input changes, the scale ``s``, comes from :data:`JITTERS` seeded
    perturbations of each element by one roundoff. While :meth:`calibrating`, the call is run in float32 as well, and
    ``c`` becomes the largest ``|float32 − float64| / s`` seen. The radius of a later call is ``8·c·s``; a call that
    never differed (a flatten, a maximum) is exact. A mean or a sum of n terms needs no measuring, ``(n − 1)·u·Σ|x|``,
    and a convolution or linear layer on its own is off by at most ``(n + 2)·u·Σ|w·x|``.

    Passed on: through a convolution or a linear layer, ``|W|`` times the input's error; through a log-softmax, the
    largest change there is; through a call that is exact, the largest change of each output over :data:`DIRECTIONS`
    signs of the input's error; through any other, twice that.

    Attributes:
        present: whether the graph has any opaque node.

    Args:
        graph_module: a graph in float64; its modules are copied.
    """

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        calls = [node for node in graph_module.graph.nodes if node.op.startswith("call_")]
        self.present = any(primitive_of(node) is None for node in calls)
        self._factors: dict[str, float] = {}
        self._single: dict[str, nn.Module] = {}
        self._absolute: dict[str, nn.Module | None] = {}
        self._jittered: dict[str, list[nn.Module]] = {}
        generator = torch.Generator().manual_seed(0)
        for node in calls:
            if node.op == "call_module" and str(node.target) not in self._single:
                module = graph_module.get_submodule(str(node.target))
                self._single[str(node.target)] = copy.deepcopy(module).float()
                self._absolute[str(node.target)] = _absolute(module)
                self._jittered[str(node.target)] = [_jittered(module, generator) for _ in range(JITTERS)]
        self._calibrating = False
        # The same call on the same exact input is analysed for several profiles.
        self._memory: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    @contextmanager
    def calibrating(self) -> Iterator[None]:
        """Calls meanwhile are measured in float32 too."""
        self._calibrating = True
        try:
            yield
        finally:
            self._calibrating = False

    def __call__(self, node: fx.Node, known: dict[fx.Node, Any], precision: Precision) -> Any:
        """The conditioned result of one opaque node; what is not a tensor (a shape, a number) passes as it is."""
        inputs = [known[argument] for argument in node.all_input_nodes]
        conditioned = [argument for argument in inputs if isinstance(argument, Conditioned)]
        run = _Call(self._graph_module, node, known)
        if not conditioned:
            return run(_value)
        mean = node.target in (_MEAN_METHODS if node.op == "call_method" else _MEANS)
        exact = not any(bool(argument.radius.any()) for argument in conditioned)
        result, scale = self._remembered(node, run, conditioned[0].value, exact=exact, measure=not mean)
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return result
        if mean:
            own, carried = _of_a_mean(run, conditioned[0], result, precision)
            error = own / ROUNDOFF + run(lambda c: c.error)
        else:
            widened = TF32_FACTOR / ROUNDOFF if precision.tf32 else 1.0
            factor = self._factors.get(node.name, 1.0)
            own = torch.minimum(SAFETY * widened * factor * scale, self._rounding(node, run, result, precision))
            own = own + precision.tiny * self._terms(node) * (own > 0)
            carry = self._carry(node, run, result, PASSED_ON if factor else 1.0)
            carried = carry(lambda c: c.radius, conditioned)
            error = own / ROUNDOFF + carry(lambda c: ROUNDOFF * c.error, conditioned) / ROUNDOFF
        return settle(result, result.abs(), error + result.abs(), own + carried, conditioned)

    def _rounding(self, node: fx.Node, run: "_Call", result: Tensor, precision: Precision) -> Tensor:
        """``n`` products and additions in whatever order, for a convolution or a linear layer; infinite for others."""
        absolute = self._linear_map(node)
        if absolute is None:
            return torch.full_like(result, torch.inf)
        weight, bias = absolute.weight, self._graph_module.get_submodule(str(node.target)).bias
        assert isinstance(weight, Tensor)
        size: Tensor = run(lambda c: c.value.abs() + c.radius, absolute) + result.abs()
        if isinstance(bias, Tensor):
            size = size + bias.abs().reshape(-1, *[1] * (weight.ndim - 2))
        return (precision.product + precision.addition * (weight[0].numel() + 2)) * size

    def _terms(self, node: fx.Node) -> int:
        """How many products, each of which may be flushed to zero, an output of a convolution or linear layer has."""
        absolute = self._linear_map(node)
        return absolute.weight[0].numel() if absolute is not None and isinstance(absolute.weight, Tensor) else 1

    def _linear_map(self, node: fx.Node) -> nn.Module | None:
        """A convolution or linear layer with ``|W|`` and no bias; ``None`` for any other call."""
        return self._absolute.get(str(node.target)) if node.op == "call_module" else None

    def _carry(self, node: fx.Node, run: "_Call", result: Tensor, factor: float) -> "_Carry":
        absolute = self._linear_map(node)
        if absolute is not None:
            return lambda error, _: run(error, absolute)
        if self._is_log_softmax(node):
            return lambda error, conditioned: _through_log_softmax(run, result, error, conditioned[0])
        return lambda error, conditioned: factor * _largest_change(run, result, error, conditioned)

    def _is_log_softmax(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self._graph_module.get_submodule(str(node.target)), nn.LogSoftmax)
        return node.target in _LOG_SOFTMAX

    def _remembered(self, node: fx.Node, run: "_Call", x: Tensor, *, exact: bool, measure: bool) -> tuple[Any, Tensor]:
        """Value and scale of a call, from memory where its input is the same tensor as the last time."""
        found = self._memory.get(node.name)
        if found is not None and exact and not self._calibrating and found[0] is x:
            return found[1], found[2]
        result = run(_value)
        scale = torch.zeros(())
        if measure and isinstance(result, Tensor) and result.is_floating_point():
            scale = self._scale(run, node, result)
            if self._calibrating:
                self._calibrate(node, run, scale)
            self._memory[node.name] = (x, result, scale)
        return result, scale

    def _scale(self, run: "_Call", node: fx.Node, result: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(1)

        def jitter(argument: Conditioned) -> Tensor:
            return argument.value * (1.0 + ROUNDOFF * _signs(argument.value, generator))

        modules: Sequence[nn.Module | None] = [None] * JITTERS
        if node.op == "call_module":
            modules = self._jittered[str(node.target)]
        changes = torch.stack([(run(jitter, module) - result) ** 2 for module in modules])
        scale = changes.mean(dim=0).sqrt()
        pooled = scale
        if scale.ndim > 1 and scale.numel():
            pooled = POOLED * scale.flatten(1).pow(2).mean(dim=1).sqrt().reshape(-1, *[1] * (scale.ndim - 1))
        return torch.maximum(scale, pooled) + ROUNDOFF * result.abs()

    def _calibrate(self, node: fx.Node, run: "_Call", scale: Tensor) -> None:
        module = self._single.get(str(node.target)) if node.op == "call_module" else None
        single = run(lambda c: c.value.float(), module).double()
        off = (single - run(lambda c: c.value.float().double())).abs()
        ratio = torch.where(torch.isfinite(off) & (off > 0), off / scale, 0.0)
        largest = float(ratio.max()) if ratio.numel() else 0.0
        before = self._factors.get(node.name, 0.0)
        self._factors[node.name] = max(before, max(1.0, largest) if largest else 0.0)


_Error = Callable[[Conditioned], Tensor]
_Carry = Callable[[_Error, list[Conditioned]], Tensor]


class _Call:
    """One opaque node, to be run on values that are made from what is known of its arguments."""

    def __init__(self, graph_module: fx.GraphModule, node: fx.Node, known: dict[fx.Node, Any]) -> None:
        self._graph_module, self._node, self._known = graph_module, node, known

    def __call__(self, change: Callable[[Conditioned], Any], module: nn.Module | None = None) -> Any:
        """The result where each conditioned argument ``c`` is ``change(c)``, in another module where one is given."""

        def value(argument: fx.Node) -> Any:
            found = self._known[argument]
            return change(found) if isinstance(found, Conditioned) else found

        node = self._node
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
        if node.op == "call_module":
            return (module or self._graph_module.get_submodule(str(node.target)))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


def _value(argument: Conditioned) -> Tensor:
    return argument.value


def _of_a_mean(run: _Call, x: Conditioned, result: Tensor, precision: Precision) -> tuple[Tensor, Tensor]:
    """Own radius of a mean or sum of n terms, in whatever order, and what it carries along."""
    size = run(lambda c: c.value.abs() + c.radius)
    terms = x.value.numel() / max(result.numel(), 1)
    own = precision.roundoff * (max(terms - 1.0, 0.0) * size + result.abs()) + precision.tiny * (size > 0)
    return own, run(lambda c: c.radius)


def _through_log_softmax(run: _Call, result: Tensor, error: _Error, x: Conditioned) -> Tensor:
    """``r_i + log Σ p_j·exp(r_j)``: how far ``x_i − log Σ exp(x_j)`` moves, whatever the signs of the errors ``r``.

    Signs tried at random miss the worst ones: all up and all down change nothing.
    """
    radius = error(x)
    raised: Tensor = run(lambda c: c.value + error(c)) - result  # r_i − log Σ p_j·exp(r_j)
    return 2.0 * radius - raised


def _largest_change(run: _Call, result: Tensor, error: _Error, conditioned: list[Conditioned]) -> Tensor:
    change = torch.zeros_like(result)
    if not any(bool(error(argument).any()) for argument in conditioned):
        return change
    generator = torch.Generator().manual_seed(0)
    for direction in range(DIRECTIONS):

        def moved(argument: Conditioned, direction: int = direction) -> Tensor:
            signs = (1.0, -1.0)[direction] if direction < 2 else _signs(argument.value, generator)
            return argument.value + error(argument) * signs

        change = torch.maximum(change, (run(moved) - result).abs())
    return change


def _absolute(module: nn.Module) -> nn.Module | None:
    """The module with ``|W|`` and no bias, which carries an error along; ``None`` for what is not a linear map."""
    if not isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return None
    copied = copy.deepcopy(module)
    copied.bias = None
    with torch.no_grad():
        copied.weight.abs_()
    return copied


def _jittered(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy whose every parameter and buffer is off by one roundoff, up or down."""
    copied = copy.deepcopy(module)
    with torch.no_grad():
        for value in (*copied.parameters(), *copied.buffers()):
            if value.is_floating_point():
                value.mul_(1.0 + ROUNDOFF * _signs(value, generator))
    return copied


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, like.shape, generator=generator).to(like.dtype) * 2 - 1
