"""Backbones made at random, and another correct implementation of each: sums in an order drawn by lot."""

import itertools
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

# Sizes of images and signals; most are small, because there are hundreds of backbones.
SIZES = (4, 5, 7, 8, 9, 12, 16)
LARGE = (24, 32, 48, 96)


@dataclass(frozen=True)
class Backbone:
    """A backbone and the shape of one of its samples."""

    module: nn.Module
    shape: tuple[int, ...]


class Residual(nn.Module):
    """``x + inner(x)``."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.inner(x)
        return found


class Called(nn.Module):
    """A function of torch."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def make(seed: int) -> Backbone:
    """The backbone of that number, in ``eval()``."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    dims = rng.choice((1, 2, 2, 2))
    channels = rng.choice((1, 2, 3, 4))
    large = rng.random() < 0.04
    size = [rng.choice(LARGE if large else SIZES) for _ in range(dims)]
    shape = (channels, *size)
    blocks: list[nn.Module] = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 5))):
        block, channels = _block(rng, dims, channels)
        blocks.append(block)
    ending = _ending(rng, dims, channels)
    module = _nested(rng, [*blocks, *ending])
    _settle(module)
    try:
        with torch.no_grad():
            module(torch.zeros(2, *shape))
    except (RuntimeError, ValueError):  # a kernel larger than what is left of the image
        return make(seed + 100_000)
    return Backbone(module.eval(), shape)


def _block(rng: random.Random, dims: int, channels: int) -> tuple[nn.Module, int]:
    """A convolution with what usually stands around it."""
    out = rng.choice((2, 3, 4, 6, 8))
    layers = [_parametrised(rng, _convolution(rng, dims, channels, out))]
    out = layers[0].out_channels  # type: ignore[assignment]
    if rng.random() < 0.6:
        layers.append(_norm(rng, dims, out))
    if rng.random() < 0.8:
        layers.append(_activation(rng, out))
    if rng.random() < 0.3:
        layers.append(_pool(rng, dims))
    if rng.random() < 0.25:
        inner: Any = getattr(nn, f"Conv{dims}d")(out, out, 3, padding=1)
        layers.append(Residual(nn.Sequential(_parametrised(rng, inner), nn.ReLU())))
    return (layers[0] if len(layers) == 1 else nn.Sequential(*layers)), int(out)


def _convolution(rng: random.Random, dims: int, channels: int, out: int) -> nn.Module:
    kernel = rng.choice((1, 2, 3, 3, 3, 5))
    bias = rng.random() < 0.7
    if rng.random() < 0.2:
        stride = rng.choice((1, 2, 3))
        transposed: nn.Module = getattr(nn, f"ConvTranspose{dims}d")(channels, out, kernel, stride=stride, bias=bias)
        return transposed
    groups = channels if rng.random() < 0.2 else 1
    out = max(groups, out // groups * groups)
    mode = rng.choice(("zeros", "zeros", "reflect", "circular")) if kernel > 1 else "zeros"
    padding = kernel // 2 if rng.random() < 0.8 else 0
    stride, dilation = rng.choice(((1, 1), (1, 1), (2, 1), (1, 2)))
    made = getattr(nn, f"Conv{dims}d")
    mode = mode if padding else "zeros"
    found: nn.Module = made(channels, out, kernel, stride, padding, dilation, groups, bias, mode)
    return found


def _parametrised(rng: random.Random, layer: nn.Module) -> nn.Module:
    """Its weight computed from others, in five ways."""
    kind = rng.choice((None, None, None, None, "weight", "spectral", "old weight", "old spectral", "orthogonal"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the hooks of old are deprecated
        if kind == "weight":
            normed: nn.Module = nn.utils.parametrizations.weight_norm(layer)
            return normed
        if kind == "spectral":
            return nn.utils.parametrizations.spectral_norm(layer)
        if kind == "old weight":
            return nn.utils.weight_norm(layer)
        if kind == "old spectral":
            return nn.utils.spectral_norm(layer)
    if kind == "orthogonal":
        return nn.utils.parametrizations.orthogonal(layer)
    return layer


def _norm(rng: random.Random, dims: int, channels: int) -> nn.Module:
    kind = rng.choice(("Batch", "Batch", "group", "Instance", "layer"))
    if kind in ("group", "layer"):  # one group is the layer norm of a convolution
        return nn.GroupNorm(1 if kind == "layer" or channels % 2 else 2, channels)
    made: nn.Module = getattr(nn, f"{kind}Norm{dims}d")(channels, affine=True)
    return made


def _activation(rng: random.Random, channels: int) -> nn.Module:
    kinds = (
        nn.ReLU, nn.ReLU, nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.Hardswish, nn.Tanh,
        nn.Softplus, nn.Sigmoid, nn.Mish, nn.CELU, nn.Hardsigmoid, nn.Softsign, nn.LogSigmoid, nn.Tanhshrink,
    )  # fmt: skip
    return nn.PReLU(channels) if rng.random() < 0.1 else rng.choice(kinds)()


def _pool(rng: random.Random, dims: int) -> nn.Module:
    kind = rng.choice(("Max", "Avg", "AdaptiveAvg", "AdaptiveMax"))
    size = rng.choice((2, 3))
    more = {} if kind.startswith("Adaptive") else {"stride": rng.choice((1, 2)), "padding": size // 2}
    made: nn.Module = getattr(nn, f"{kind}Pool{dims}d")(size, **more)
    return made


def _ending(rng: random.Random, dims: int, channels: int) -> list[nn.Module]:
    """What makes features of the last channels."""
    axes = tuple(range(2, 2 + dims))
    kinds: list[tuple[list[nn.Module], int]] = [
        ([getattr(nn, f"AdaptiveAvgPool{dims}d")(1), nn.Flatten()], channels),
        ([Called(lambda x: x.mean(axes))], channels),
        ([Called(lambda x: torch.sum(x, axes))], channels),
        ([Called(lambda x: torch.amax(x, axes))], channels),
        ([getattr(nn, f"AdaptiveMaxPool{dims}d")(2), nn.Flatten(1)], channels * 2**dims),
    ]
    layers, features = rng.choice(kinds)
    layers = list(layers)
    if rng.random() < 0.4:
        layers.append(_parametrised(rng, nn.Linear(features, 5)))
        features = 5
    if rng.random() < 0.2:
        layers.append(nn.LayerNorm(features))
    if rng.random() < 0.15:
        layers.append(rng.choice((nn.Softmax(1), nn.LogSoftmax(1))))
    return layers


def _nested(rng: random.Random, layers: list[nn.Module]) -> nn.Module:
    """The same layers in sequences of sequences."""
    if len(layers) < 2 or rng.random() < 0.3:
        return nn.Sequential(*layers)
    cut = rng.randrange(1, len(layers))
    return nn.Sequential(_nested(rng, layers[:cut]), _nested(rng, layers[cut:]))


def _settle(module: nn.Module) -> None:
    """Statistics and scales as training leaves them."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.uniform_(-1, 1)
            assert layer.running_var is not None
            layer.running_var.uniform_(0.05, 2)
        if isinstance(layer, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)) and layer.weight is not None:
            nn.init.uniform_(layer.weight, -2, 2)
            nn.init.uniform_(layer.bias, -1, 1)


# Another implementation ---------------------------------------------------------------------------------------------


class Other(fx.Interpreter):
    """Runs a graph in float32 as an implementation might that has nothing in common with torch's.

    Products are summed one after the other in an order drawn by lot, means too; a batch norm is one scale and one
    shift; the variance of a norm is the mean of squares less the square of the mean; softmax is a quotient.
    """

    def __init__(self, graph_module: fx.GraphModule, seed: int) -> None:
        super().__init__(graph_module)
        self._generator = torch.Generator().manual_seed(seed)

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module: Any = self.fetch_attr(target)
        x: Tensor = args[0]
        usual = super().call_module(target, args, kwargs)
        if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
            return self._sum_of_products(module, x)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return self._scale_and_shift(module, x)
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm, nn.modules.instancenorm._InstanceNorm)):
            return self._one_pass(module, x)
        if isinstance(module, (nn.modules.pooling._AdaptiveAvgPoolNd,)) and usual.shape[2:].numel() == 1:
            return self._mean(x, usual.shape)
        if isinstance(module, nn.Softmax):
            risen = torch.exp(x - x.amax(1, keepdim=True))
            return risen / self._in_order(risen.unbind(1)).unsqueeze(1)
        return usual

    def call_method(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        usual = super().call_method(target, args, kwargs)
        return self._mean(args[0], usual.shape) if target == "mean" else usual

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        usual = super().call_function(target, args, kwargs)
        return self._in_order(args[0].flatten(2).unbind(2)) if target is torch.sum else usual

    def _scale_and_shift(self, module: Any, x: Tensor) -> Tensor:
        shape = [1, -1] + [1] * (x.ndim - 2)
        scale: Tensor = module.weight / torch.sqrt(module.running_var + module.eps)
        shift: Tensor = module.bias - module.running_mean * scale
        return x * scale.reshape(shape) + shift.reshape(shape)

    def _in_order(self, terms: Any) -> Tensor:
        """One after the other, in an order drawn by lot."""
        total = torch.zeros_like(terms[0])
        for index in torch.randperm(len(terms), generator=self._generator).tolist():
            total = total + terms[index]
        return total

    def _mean(self, x: Tensor, shape: torch.Size) -> Tensor:
        flat = x.flatten(2)
        return (self._in_order(flat.unbind(2)) * (1.0 / flat.shape[2])).reshape(shape)

    def _one_pass(self, module: Any, x: Tensor) -> Tensor:
        if isinstance(module, nn.GroupNorm):
            groups, shape = x.reshape(len(x), module.num_groups, -1), [1, -1] + [1] * (x.ndim - 2)
        elif isinstance(module, nn.LayerNorm):
            groups, shape = x, [-1]
        else:
            groups, shape = x.flatten(2), [1, -1] + [1] * (x.ndim - 2)
        share = 1.0 / groups.shape[-1]
        mean = (self._in_order(groups.unbind(-1)) * share).unsqueeze(-1)
        square = (self._in_order((groups * groups).unbind(-1)) * share).unsqueeze(-1)
        scale = 1.0 / torch.sqrt((square - mean * mean).clamp(min=0.0) + module.eps)
        found: Tensor = ((groups - mean) * scale).reshape(x.shape)
        weight, bias = module.weight.reshape(shape), module.bias.reshape(shape)
        scaled: Tensor = found * weight + bias
        return scaled

    def _sum_of_products(self, module: Any, x: Tensor) -> Tensor:
        """One tap of the kernel and one channel after the other, so that an output gets one product at a time."""
        weight = module.weight.detach()
        taps = [(slice(None), *index) for index in _indices(weight.shape[1:])]
        if isinstance(module, nn.modules.conv._ConvTransposeNd):
            taps = [(index[0], slice(None), *index[1:]) for index in _indices((weight.shape[0], *weight.shape[2:]))]
        total = None
        for index in torch.randperm(len(taps), generator=self._generator).tolist():
            alone = torch.zeros_like(weight)
            alone[taps[index]] = weight[taps[index]]
            product = _linear_map(module, x, alone)
            total = product if total is None else total + product
        assert total is not None
        if module.bias is None:
            return total
        bias: Tensor = module.bias.detach()
        return total + (bias if isinstance(module, nn.Linear) else bias.reshape(-1, *[1] * (weight.ndim - 2)))


def _indices(shape: Any) -> list[tuple[int, ...]]:
    return list(itertools.product(*map(range, shape)))


def _linear_map(module: Any, x: Tensor, weight: Tensor) -> Tensor:
    if isinstance(module, nn.Linear):
        return F.linear(x, weight)
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        function: Any = getattr(F, f"conv_transpose{weight.ndim - 2}d")
        shape = (module.stride, module.padding, module.output_padding, module.groups, module.dilation)
        found: Tensor = function(x, weight, None, *shape)
        return found
    convolved: Tensor = module._conv_forward(x, weight, None)
    return convolved
