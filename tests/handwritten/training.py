"""Weights as training leaves them: effective weights near −1, 0 and 1, and gates that saturate on large inputs."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

LARGE, SPREAD = 6.0, 0.5
# Products of more factors of 1e10 (an input of 0 under a weight of −1) would not fit into float32.
FACTORS, DENSE = 3, 4

_Module = TypeVar("_Module", bound=nn.Module)


def trained(module: _Module, *, direct: bool = False) -> _Module:
    """Fill every parameter in place, by its name, and switch the module to ``eval()``.

    Names that begin with ``w`` are raw weights (``±6`` or near 0, plus spread), with ``m`` their masks, with ``g`` or
    ``gate`` anywhere gates (normal, variance 4), everything else biases (normal, variance 0.09). A wide and a tall
    matrix of the same sizes get transposed values, so that one formula in two orientations is one function.

    Args:
        module: whatever a user wrote.
        direct: whether the weights are used as they are: near −1, 0 and 1 then.
    """
    for name, parameter in module.named_parameters():
        _fill(name, parameter, direct)
    return module.eval()


def network(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """The same with default initial values, seeded, for all but the arithmetic in it; BatchNorm gets statistics."""

    def made() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build().eval()
            for module in model.modules():
                _fill_own(module)
        return model

    return made


def builders(
    kinds: Iterable[Callable[..., nn.Module]], *sizes: int, direct: bool = False
) -> dict[str, Callable[[], nn.Module]]:
    """What makes each class, trained, by the name of the class."""
    return {kind.__name__: _builder(kind, sizes, direct) for kind in kinds}


def _builder(kind: Callable[..., nn.Module], sizes: tuple[int, ...], direct: bool) -> Callable[[], nn.Module]:
    return lambda: trained(kind(*sizes), direct=direct)


def _fill_own(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
        module.running_mean.uniform_(-0.5, 0.5)
        module.running_var.uniform_(0.5, 2.0)
    own = dict(module.named_parameters(recurse=False))
    if "w_hat" in map(str.lower, own):
        for name, parameter in own.items():
            _fill(name, parameter, direct=False)


def _fill(name: str, parameter: Tensor, direct: bool) -> None:
    shape = tuple(parameter.shape)
    turned = len(shape) == 2 and shape[0] > shape[1]
    wide = shape[::-1] if turned else shape
    role = _role(name.lower())
    generator = torch.Generator().manual_seed(sum(map(ord, role)) + sum(wide))
    values = _values(role, _pattern(wide), generator, direct)
    with torch.no_grad():
        parameter.copy_(values.T if turned else values)


def _pattern(shape: tuple[int, ...]) -> Tensor:
    """−1, 0 and 1 from the sizes alone: weight and mask have to agree on what is off."""
    generator = torch.Generator().manual_seed(100 + sum(shape))
    pattern = torch.randint(-1, 2, shape, generator=generator).float()
    if len(shape) == 2 and max(shape) > DENSE:
        order = torch.rand(shape, generator=generator)
        for dim in (0, 1):
            pattern *= order.argsort(dim).argsort(dim) < FACTORS
    return pattern


def _role(name: str) -> str:
    last = name.rpartition(".")[2]
    if "gate" in name or last.startswith("g"):
        return "bias" if last == "bias" else "gate"
    return {"w": "weight", "m": "mask"}.get(last.lstrip("_")[0], "bias")


def _values(role: str, pattern: Tensor, generator: Generator, direct: bool) -> Tensor:
    noise = torch.randn(pattern.shape, generator=generator)
    if role == "weight":
        return pattern + 0.02 * noise if direct else LARGE * pattern + SPREAD * noise
    if role == "mask":
        return LARGE * (2.0 * pattern.abs() - 1.0) + SPREAD * noise
    return 2.0 * noise if role == "gate" else 0.3 * noise
