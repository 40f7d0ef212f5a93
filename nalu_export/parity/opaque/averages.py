"""Means, sums and average pooling: n additions in any order."""

import math
from typing import Any

from torch import Tensor

from nalu_export.parity.opaque.allowance import Allowance, Rule
from nalu_export.parity.opaque.call import Call
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Precision


def _average(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """Allow ``(n − 1)·u·Σ|x|`` over ``n``, and two roundings of the division."""
    x = call.argument("input")
    if not isinstance(x, Conditioned):
        return None
    size: Tensor = call.run(lambda c: c.reach)
    own = precision.roundoff * ((_terms(call, x.value, value) - 1.0) * size + 2.0 * size)
    own = own + precision.tiny * (size > 0)
    return Allowance(own, call.run, follow="less")


def _terms(call: Call, x: Tensor, value: Tensor) -> float:
    """Return how many numbers one result sums, at most."""
    if call.name.startswith("avg_pool"):
        dims = int(call.name[-2])
        kernel = call.setting("kernel_size")
        return float(int(kernel) ** dims if isinstance(kernel, int) else math.prod(_each(kernel, dims)))
    if call.name.startswith("adaptive"):
        return float(math.prod(map(_window, x.shape[2:], value.shape[2:])))
    if call.name == "cumsum":
        return float(x.shape[int(call.argument("dim"))])
    return x.numel() / max(value.numel(), 1)


def _window(full: int, parts: int) -> int:
    """Return the longest window of adaptive pooling, whose windows start and end at rounded indices."""
    return max(-(-(index + 1) * full // parts) - index * full // parts for index in range(parts))


def _each(kernel: Any, dims: int) -> list[int]:
    values = [int(size) for size in kernel]
    return values * dims if len(values) == 1 else values


_POOLS = [f"{kind}_pool{n}d" for kind in ("avg", "adaptive_avg") for n in (1, 2, 3)]
RULES: dict[str, Rule] = dict.fromkeys(("mean", "sum", "cumsum", *_POOLS), _average)
