"""Runs any module of plain arithmetic in double-double: its own ``forward``, on tensors that carry two float64.

What a module calls is decomposed by torch into some fifty operators, each of which has a rule here; an operator without
one is an error that names it.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from benchmarks import double_double as dd
from benchmarks.double_double import Pair
from benchmarks.extended_rules import RULES, STRUCTURAL

# The error of the worst function of `double_double`.
NOISE = 2.0**-96

_noise: ContextVar[Generator | None] = ContextVar("noise", default=None)


class Extended(Tensor):
    """A tensor that to its module is float64, and inside is a :class:`Pair`."""

    pair: Pair

    @staticmethod
    def __new__(cls, pair: Pair) -> "Extended":  # noqa: D102
        hi = pair.hi
        made = Tensor._make_wrapper_subclass(cls, hi.shape, hi.stride(), hi.storage_offset(), dtype=torch.float64)
        made.pair = pair
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]
        del tensor_contents
        return f"Extended({self.pair.hi} + {self.pair.lo})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """One operator of torch, by its rule."""
        del types
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        if name in STRUCTURAL:
            return _both(func, args, kwargs)
        if name in ("zeros_like", "ones_like", "new_zeros", "new_ones", "empty_like", "full_like"):
            return func(*tree_map(_high, args), **kwargs)
        rule = RULES.get(name.removesuffix("_"))
        if rule is None:
            raise NotImplementedError(f"benchmarks.extended has no rule for {func}")
        found = tree_map(_wrapped, rule(*tree_map(_pair, args), **tree_map(_pair, kwargs)), is_leaf=_is_pair)
        return _written(args[0], found) if name.endswith("_") else found


def evaluate(module: nn.Module, state: Mapping[str, Tensor], x: Tensor, noise: Generator | None = None) -> Pair:
    """What a module computes from parameters and buffers ``state`` and a float64 input, in double-double.

    Args:
        module: one whose forward takes and returns one tensor.
        state: float64 values for its ``state_dict``.
        x: a float64 input.
        noise: if given, every operation is off by ±``NOISE`` of its result, drawn from here: how much an output moves
            tells how far it can be trusted.

    Raises:
        NotImplementedError: the module calls an operator that has no rule.
    """
    token = _noise.set(noise)
    try:
        with torch.no_grad():
            wrapped = {name: Extended(dd.exactly(value.double())) for name, value in state.items()}
            found = torch.func.functional_call(module, cast("dict[str, Tensor]", wrapped), (Extended(dd.exactly(x)),))
    finally:
        _noise.reset(token)
    return cast("Extended", found).pair


def _is_pair(value: object) -> bool:
    return isinstance(value, Pair)


def _pair(value: Any) -> Any:
    """Tensors of floats as pairs; numbers, sizes and masks as they are."""
    if isinstance(value, Extended):
        return value.pair
    return dd.exactly(value.double()) if isinstance(value, Tensor) and value.is_floating_point() else value


def _high(value: Any) -> Any:
    return value.pair.hi if isinstance(value, Extended) else value


def _low(value: Any) -> Any:
    if isinstance(value, Extended):
        return value.pair.lo
    return torch.zeros_like(value) if isinstance(value, Tensor) and value.is_floating_point() else value


def _wrapped(value: Any) -> Any:
    if not isinstance(value, Pair):
        return value
    noise = _noise.get()
    if noise is not None:
        sign = torch.randint(0, 2, value.hi.shape, generator=noise) * 2.0 - 1.0
        # A number that ends with float64's last bit was not rounded, except once in 2⁵³.
        disturbed = dd.joined(value.hi, value.lo + NOISE * sign * value.hi)
        value = dd.select(value.lo == 0, value, disturbed)
    return Extended(Pair(value.hi.contiguous(), value.lo.contiguous()))


def _both(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """An operator that only moves numbers, on both parts."""
    kwargs = {name: value for name, value in kwargs.items() if name != "dtype"}
    high, spec = tree_flatten(func(*tree_map(_high, args), **tree_map(_high, kwargs)))
    low, _ = tree_flatten(func(*tree_map(_low, args), **tree_map(_low, kwargs)))
    pairs = [Extended(Pair(hi, lo)) for hi, lo in zip(high, low, strict=True)]
    return tree_unflatten(pairs, spec)


def _written(target: Extended, found: Extended) -> Extended:
    """The result of an in-place operator, in the memory of what it changes."""
    target.pair.hi.copy_(found.pair.hi)
    target.pair.lo.copy_(found.pair.lo)
    return target
