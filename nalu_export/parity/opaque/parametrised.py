"""Weights that a module computes from other tensors: ``torch.nn.utils.parametrize``, and the older hooks."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.modules.copying import copied
from nalu_export.parity.opaque.call import Call
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned

# The error of another correct float32 implementation is similar to the measured one, not equal: it sums in another
# order.
SAFETY = 8.0
SEED = 3
# If one roundoff moves a weight by more than this many float32 errors, the weight is no continuous function of it.
JUMP = 1024.0
_MEASURED: "weakref.WeakKeyDictionary[nn.Module, dict[str, Conditioned]]" = weakref.WeakKeyDictionary()

Draw = Callable[[Tensor, torch.Generator], Tensor]


def weight_of(call: Call, name: str = "weight") -> Conditioned:
    """Return a weight of a module as it is multiplied: exact if it is a parameter, else with a measured radius.

    The radius comes from the effect of one roundoff in every tensor that the weight is computed from, and from the
    error of its float32 evaluation. Runtimes receive the weight itself, rounded once.
    """
    module = call.module
    assert module is not None
    if name in module._parameters:
        value: Any = module._parameters[name]
        return Conditioned.exact(value.detach().double(), torch.zeros(value.shape, dtype=torch.float64))
    found = _MEASURED.setdefault(module, {})
    if name not in found:
        found[name] = _measured(module, call, name)
    return found[name]


def _measured(module: nn.Module, call: Call, name: str) -> Conditioned:
    value, generator = _computed(module, call, name), torch.Generator().manual_seed(SEED)
    moved = [(_computed(jittered(module, generator), call, name) - value).abs() for _ in range(2)]
    single = (_computed(copied(module).float(), call, name, single=True) - value).abs()
    # Some parametrisations hold signs as floats and truncate them to integers: a small change gives a different weight.
    jump = JUMP * (single.max() + ROUNDOFF * value.abs().max())
    scale = torch.stack([single, *(change for change in moved if bool((change <= jump).all()))]).amax(dim=0)
    # Each element is a sum over others; a small error of one element may be chance, so the mean error counts too.
    radius = SAFETY * torch.maximum(scale, scale.mean()) + ROUNDOFF * value.abs()
    return Conditioned.exact(value, radius)


def _computed(module: nn.Module, call: Call, name: str, *, single: bool = False) -> Tensor:
    """Return the weight that the module computes, as float64."""
    if module._forward_pre_hooks:
        call.run(lambda c: c.value.float() if single else c.value, module)
    found: Tensor = getattr(module, name).detach().double()
    return found


def jittered(module: nn.Module, generator: torch.Generator, draw: Draw | None = None) -> nn.Module:
    """Return a copy with every parameter and buffer off by one roundoff, up or down, or by ``draw`` roundoffs."""
    found = copied(module)
    with torch.no_grad():
        for value in (*found.parameters(), *found.buffers()):
            if value.is_floating_point():
                value.mul_(1.0 + ROUNDOFF * (draw or signs)(value, generator))
    return found


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers, in the shape and type of another tensor."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return random signs ±1, in the shape and type of another tensor."""
    return torch.randint(0, 2, like.shape, generator=generator).to(like.dtype) * 2 - 1
