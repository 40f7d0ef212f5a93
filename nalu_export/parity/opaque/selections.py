"""Ops that move numbers without arithmetic, and ops that select the largest."""

from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.parity.opaque.allowance import Allowance, Rule
from nalu_export.parity.opaque.call import Call
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Precision

# Functions whose every result is one of the given numbers, or 0.
MOVES = (
    "identity", "getitem", "contiguous", "clone", "detach", "alias", "flatten", "unflatten", "reshape", "view",
    "view_as", "permute", "transpose", "t", "movedim", "moveaxis", "swapaxes", "squeeze", "unsqueeze", "expand",
    "expand_as", "repeat", "repeat_interleave", "tile", "cat", "concat", "concatenate", "stack", "hstack", "vstack",
    "split", "split_with_sizes", "tensor_split", "chunk", "unbind", "select", "slice", "narrow", "index_select",
    "gather", "flip", "roll", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "atleast_2d", "unfold",
    "embedding", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
)  # fmt: skip
_PADS = ("ReflectionPad", "ReplicationPad", "CircularPad", "ZeroPad")


def moves(call: Call) -> bool:
    """Return whether the call only moves numbers, so that errors and flags move with them."""
    if "dropout" in call.name:
        return not call.setting("training", call.argument("train", True))
    if call.name == "pad":
        return bool(call.argument("mode", "constant") != "constant" or not call.argument("value"))
    if call.name in ("interpolate", "upsample"):
        return bool(call.setting("mode", "nearest") == "nearest")
    return call.name in MOVES or _is_pad(call.module)


def _is_pad(module: Any) -> bool:
    kind = type(module)
    return kind is getattr(nn, kind.__name__, None) and kind.__name__.startswith(_PADS)


def _largest(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """The largest number of a window is at most as far off as the most uncertain number in the window."""
    del precision
    x = call.argument("input")
    if not isinstance(x, Conditioned) or call.setting("return_indices", False):
        return None
    return Allowance(torch.zeros_like(value), call.run)


_POOLS = [f"{kind}_pool{n}d" for kind in ("max", "adaptive_max") for n in (1, 2, 3)]
RULES: dict[str, Rule] = dict.fromkeys((*_POOLS, "amax"), _largest)
