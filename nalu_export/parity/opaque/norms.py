"""Normalisations: with running statistics (a scale and a shift), and with statistics of the sample."""

from typing import Any

import torch
from torch import Tensor

from nalu_export.parity.opaque.allowance import ROUNDINGS, Allowance, Rule, of_a_sum
from nalu_export.parity.opaque.call import Call, Error, constant_ball
from nalu_export.parity.opaque.parametrised import weight_of
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import SINGLE, Precision


def _batch_norm(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """``a·x + b`` with ``a = γ/√(σ² + ε)`` and ``b = β − μ·a``, which each runtime computes itself."""
    x = call.argument("input")
    mean, variance = (constant_ball(call.setting(f"running_{name}")) for name in ("mean", "var"))
    training = call.setting("training", False)
    if not isinstance(x, Conditioned) or mean is None or variance is None or training:
        return None
    shape = [1, -1] + [1] * (x.value.ndim - 2)
    centre = mean.value.reshape(shape)
    scale = (1.0 / (variance.value + call.setting("eps", 1e-5)).sqrt()).reshape(shape)
    gain, shift = (_channel(call, name, shape) for name in ("weight", "bias"))
    if gain is not None:
        scale = scale * gain.value
    offset = torch.zeros(()) if shift is None else shift.value.abs()
    own = (x.reach + centre.abs()) * (ROUNDINGS * scale.abs()) + 2.0 * offset + value.abs()
    own = precision.roundoff * own
    if any(one is not None and bool(one.radius.any()) for one in (gain, shift)):
        own = own + _of_the_weights(gain, shift, (x.value - centre) * scale, value)
    own = own + precision.tiny * (own > 0)
    return Allowance(own, lambda error: scale.abs() * error(x))


def _of_the_sample(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """``γ·(x − μ)/√(σ² + ε) + β`` with mean and variance of groups of n numbers, in one pass or in two.

    In one pass ``σ² = Σx²/n − μ²``, whose error is proportional to the mean of squares, not to the variance.
    """
    x = call.argument("input")
    groups = _groups(call, x.value) if isinstance(x, Conditioned) else None
    if groups is None:
        return None
    centre, square = groups.mean(-1, keepdim=True), (groups * groups).mean(-1, keepdim=True)
    level, squares = _sum_error(groups), _sum_error(groups * groups)
    variance = groups.var(-1, keepdim=True, correction=0) + call.setting("eps", 1e-5)
    deviation = variance.sqrt()
    off_square = squares + 2.0 * centre.abs() * level + ROUNDINGS * square
    share = precision.roundoff * off_square / variance
    stretched = torch.where(share < 1.0, (1.0 - share) ** -0.5 - 1.0, torch.inf) + 4.0 * precision.roundoff
    standard = (groups - centre) / deviation
    moved = precision.roundoff * (level + 4.0 * (groups.abs() + centre.abs())) / deviation
    off = torch.where(moved > 0, moved * (1.0 + stretched), 0.0) + torch.where(
        standard == 0, 0.0, standard.abs() * stretched
    )
    standard, off = standard.reshape(x.value.shape), off.reshape(x.value.shape)
    gain, shift = (_channel(call, name, _parameter_shape(call, value)) for name in ("weight", "bias"))
    scale = torch.ones(()) if gain is None else gain.value.abs()
    offset = torch.zeros(()) if shift is None else shift.value.abs()
    own = scale * off + precision.roundoff * (3.0 * scale * standard.abs() + offset + value.abs())
    own = own + _of_the_weights(gain, shift, standard if gain is None else standard * gain.value, value)

    def carry(error: Error) -> Tensor:
        return scale * _carried(groups, variance, _groups(call, error(x))).reshape(value.shape)

    return Allowance(own + precision.tiny * (own > 0), carry, follow="always")


def _carried(groups: Tensor, variance: Tensor, radius: Tensor | None) -> Tensor:
    """Return how far ``(x − μ)/σ`` moves: its numerator by ``r`` and the mean of ``r``, ``σ²`` accordingly."""
    assert radius is not None
    centred = groups - groups.mean(-1, keepdim=True)
    moved = radius + radius.mean(-1, keepdim=True)
    share = ((2.0 * centred.abs() + moved) * moved).mean(-1, keepdim=True) / variance
    narrower = torch.where(share < 1.0, (1.0 - share) ** -0.5, torch.inf)
    stretched = torch.where(centred == 0, 0.0, centred.abs() * (narrower - 1.0))
    return (torch.where(moved > 0, moved * narrower, 0.0) + stretched) / variance.sqrt()


def _sum_error(terms: Tensor) -> Tensor:
    """Return the error of the mean along the last axis, in roundoffs.

    Zero padding leaves most of a feature map constant where the image is empty, and equal terms are rounded equally.
    """
    count = terms.shape[-1]
    size, spread = terms.abs().sum(-1, keepdim=True), (terms * terms).sum(-1, keepdim=True).sqrt()
    likely = of_a_sum(count, terms.sum(-1, keepdim=True), size, spread) + (_alike(terms, size) - 1.0) * size
    return torch.minimum((count - 1.0) * size, likely) / count + 2.0 * size / count


def _alike(terms: Tensor, size: Tensor) -> Tensor:
    """Return how many terms differ by less than a quarter of a unit in the last place of their sum."""
    ordered = terms.sort(-1).values.contiguous()
    ends = torch.searchsorted(ordered, ordered + SINGLE / 2.0 * size, right=True)
    return (ends - torch.arange(terms.shape[-1])).amax(-1, keepdim=True).double()


def _groups(call: Call, x: Tensor) -> Tensor | None:
    """Return the numbers that are normalised together along the last axis; ``None`` if other statistics are used."""
    if call.name == "layer_norm":
        return x.flatten(-len(tuple(call.setting("normalized_shape"))))
    if call.name == "group_norm":
        return x.reshape(x.shape[0], int(call.setting("num_groups")), -1)
    running = call.setting("running_mean") if call.module is not None else None
    if running is not None or not call.argument("use_input_stats", True) or x.ndim < 3:
        return None
    return x.flatten(2)


def _parameter_shape(call: Call, like: Tensor) -> list[int]:
    if call.name == "layer_norm":
        return list(call.setting("normalized_shape"))
    return [1, -1] + [1] * (like.ndim - 2)


def _channel(call: Call, name: str, shape: list[int]) -> Conditioned | None:
    """Return γ or β in a shape that broadcasts over the input; ``None`` if there is none."""
    given: Any = call.setting(name)
    if given is None:
        return None
    found = constant_ball(given) if call.module is None else weight_of(call, name)
    assert found is not None
    return Conditioned.exact(found.value.reshape(shape), found.radius.expand(found.value.shape).reshape(shape))


def _of_the_weights(gain: Conditioned | None, shift: Conditioned | None, scaled: Tensor, value: Tensor) -> Tensor:
    """Return the effect of the errors of γ and β themselves."""
    off = torch.zeros_like(value)
    if gain is not None and bool(gain.radius.any()):
        off = off + torch.where(gain.value != 0, (scaled / gain.value).abs(), 0.0) * gain.radius
    return off if shift is None else off + shift.radius


RULES: dict[str, Rule] = {
    "batch_norm": _batch_norm,
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), _of_the_sample),
}
