"""Convolutions, transposed convolutions and matrix products: sums of products with weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.parity.opaque.allowance import ROUNDINGS, Allowance, Rule, of_a_sum
from nalu_export.parity.opaque.call import Call, Error, constant_ball
from nalu_export.parity.opaque.parametrised import weight_of
from nalu_export.parity.opaque.tiles import in_tiles
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Precision

# Up to this many products per output, the sum of their magnitudes is computed by a convolution of its own.
FEW = 64
TINIEST = 1e-300

Apply = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class _Map:
    """The linear map ``x ↦ Σ w·x + b``.

    Attributes:
        x: the input.
        weight: the weights.
        bias: the bias, in the shape in which it is added; ``None`` for none.
        apply: the map without its bias, as a function of input and weights.
        terms: products in one output, at most.
        tiles: whether a library may compute the map by transforming tiles.
    """

    x: Conditioned
    weight: Conditioned
    bias: Conditioned | None
    apply: Apply
    terms: float
    tiles: bool = False


def _allowance(found: _Map, value: Tensor, precision: Precision) -> Allowance:
    """Allow for ``n`` products, additions in any order, the bias, and the errors of the weights themselves."""
    inputs, weights = found.x.reach, found.weight.reach
    terms = found.terms
    # By Cauchy and Schwarz Σ|t| is at most √n·R; with few terms Σ|t| itself is worth evaluating.
    if terms <= FEW:
        size, spread = found.apply(inputs, weights), _root(found.apply(inputs * inputs, weights * weights))
    else:
        spread = torch.maximum(_spread(found, inputs, weights), value.abs() / math.sqrt(terms))
        size = math.sqrt(terms) * spread
    bias = torch.zeros(()) if found.bias is None else found.bias.reach
    added = terms + (found.bias is not None)
    sums = precision.addition * of_a_sum(added, value, size + bias, spread + bias)
    own = sums + precision.addition * ROUNDINGS * torch.minimum(size + bias, value.abs() + 2.0 * spread + bias)
    # TF32 rounds each factor once more; it may truncate, so that these errors have one sign.
    own = own + (precision.product - precision.roundoff) * torch.minimum(size, value.abs() + 4.0 * spread)
    own = own + precision.tiny * terms * (size > 0)
    if found.tiles and precision.tiles:
        own = own + in_tiles(precision, terms, value, found.apply, inputs, weights)
    if bool(found.weight.radius.any()):
        own = own + found.apply(inputs, found.weight.radius)
    if found.bias is not None:
        own = own + found.bias.radius
    return Allowance(own, lambda error: found.apply(error(found.x), weights), follow="always")


def _spread(found: _Map, inputs: Tensor, weights: Tensor) -> Tensor:
    """Return ``√Σt²``, computed in float32 to save work, from numbers scaled to at most 1."""
    samples = [-1, *[1] * (inputs.ndim - 1)]
    largest = inputs.flatten(1).amax(dim=1).reshape(samples).clamp(min=TINIEST)
    heaviest = weights.max().clamp(min=TINIEST)
    scaled, light = (inputs / largest).float(), (weights / heaviest).float()
    squares = _root(found.apply(scaled * scaled, light * light)).double()
    # The factor allows for a hundred roundoffs of float32 and for underflow.
    return 1.00001 * squares * (largest * heaviest).reshape([-1, *[1] * (squares.ndim - 1)])


def _root(squares: Tensor) -> Tensor:
    return squares.clamp(min=0.0).sqrt()


def _convolution_module(call: Call) -> _Map | None:
    module: Any = call.module
    weight, x = weight_of(call), call.argument("input")
    bias = None if module.bias is None else weight_of(call, "bias")
    if isinstance(module, nn.Linear):
        return _Map(x, weight, bias, F.linear, weight.value.shape[-1])
    bias = _shaped(bias, weight.value.ndim - 2)
    if module.transposed:
        if len(call.node.args) > 1 or call.node.kwargs:
            return None  # an output size is given, which changes the padding
        return _Map(x, weight, bias, lambda x, w: _transposed(module, x, w), _taps(call, weight.value))
    terms = weight.value[0].numel()
    return _Map(x, weight, bias, lambda x, w: module._conv_forward(x, w, None), terms, _tiled(call, weight.value))


def _transposed(module: Any, x: Tensor, weight: Tensor) -> Tensor:
    function: Any = getattr(F, f"conv_transpose{weight.ndim - 2}d")
    shape = (module.stride, module.padding, module.output_padding, module.groups, module.dilation)
    found: Tensor = function(x, weight, None, *shape)
    return found


def _convolution(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    found = _convolution_module(call) if call.module is not None else _convolution_function(call)
    return None if found is None else _allowance(found, value, precision)


def _convolution_function(call: Call) -> _Map | None:
    x, weight = call.argument("input"), constant_ball(call.argument("weight"))
    if not isinstance(x, Conditioned) or weight is None:
        return None
    bias = constant_ball(call.argument("bias"))
    transposed = call.name.startswith("conv_transpose") or bool(call.argument("transposed", False))
    terms = _taps(call, weight.value) if transposed else weight.value[0].numel()
    shaped = bias if call.name == "linear" else _shaped(bias, weight.value.ndim - 2)
    if call.name == "linear":
        terms = weight.value.shape[-1]
    tiles = not transposed and call.name != "linear" and _tiled(call, weight.value)
    return _Map(x, weight, shaped, lambda x, w: call.apply(input=x, weight=w, bias=None), terms, tiles)


def _tiled(call: Call, weight: Tensor) -> bool:
    """Return whether a library may use Winograd's algorithm: 3×3, stride 1, dilation 1."""
    places = all(_each(call.setting(name, 1), 2) == [1, 1] for name in ("stride", "dilation"))
    return places and weight.shape[2:] == (3, 3)


def _taps(call: Call, weight: Tensor) -> float:
    """Return the products in one output of a transposed convolution: every stride-th kernel element per channel."""
    dims = weight.ndim - 2
    strides, dilations = (_each(call.setting(name, 1), dims) for name in ("stride", "dilation"))
    kernel = weight.shape[2:]
    each = [-(-k // (s // math.gcd(s, d))) for k, s, d in zip(kernel, strides, dilations, strict=True)]
    return weight.shape[0] / int(call.setting("groups", 1)) * math.prod(each)


def _each(value: Any, dims: int) -> list[int]:
    values = [int(value)] if isinstance(value, int) else [int(one) for one in value]
    return values * dims if len(values) == 1 else values


def _shaped(bias: Conditioned | None, dims: int) -> Conditioned | None:
    """Reshape a bias of one number per channel so that it broadcasts over the channel's positions."""
    if bias is None:
        return None
    value, radius = (part.reshape(-1, *[1] * dims) for part in (bias.value, bias.radius))
    return Conditioned.exact(value, radius)


def _matrix_product(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """Allow for a product of two values that both depend on the input; products with constants are primitives."""
    left, right = call.argument("input"), call.argument("mat2", call.argument("other"))
    if not isinstance(left, Conditioned) or not isinstance(right, Conditioned):
        return None
    names = {"input": left, "mat2" if call.argument("mat2") is not None else "other": right}
    first, second = names

    def apply(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = call.apply(**{first: a, second: b})
        return found

    exact = Conditioned.exact(right.value, torch.zeros_like(right.value))
    found = _allowance(_Map(left, exact, None, apply, left.value.shape[-1]), value, precision)

    def carry(error: Error) -> Tensor:
        a, b = error(left), error(right)
        return apply(a, right.value.abs() + b) + apply(left.value.abs(), b)

    return Allowance(found.own, carry, follow="always")


_CONVOLUTIONS = [f"{kind}{n}d" for kind in ("conv", "conv_transpose") for n in (1, 2, 3)]
RULES: dict[str, Rule] = {
    **dict.fromkeys((*_CONVOLUTIONS, "convolution", "linear"), _convolution),
    **dict.fromkeys(("matmul", "mm", "bmm"), _matrix_product),
}
