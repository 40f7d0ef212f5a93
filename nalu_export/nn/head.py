"""A stack of arithmetic layers behind any image backbone."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.errors import InputError
from nalu_export.nn.init import choose, positive_int
from nalu_export.nn.stack import NAC, NALU

TASKS = ("classification", "regression")
HEAD_TYPES = {"NALU": NALU, "NAC": NAC}
POOLS = ("avg", "sum", None)


class BackboneHead(nn.Module):
    """backbone → 1×1 convolution → global pooling → flatten → head → log-softmax for classification.

    :func:`build_head` builds it and documents the arguments. Shapes: image ``(N, C, H, W)`` → backbone
    ``(N, out_channels, H′, W′)`` → convolution ``(N, hidden_dims[0], H′, W′)`` → pooled ``(N, hidden_dims[0])`` →
    ``(N, num_outputs)``.
    """

    pool: Final[str | None]
    task: Final[str]

    def __init__(
        self,
        backbone: nn.Module,
        out_channels: int,
        hidden_dims: Sequence[int],
        task: str,
        num_outputs: int,
        head_type: str = "NALU",
        pool: str | None = "avg",
        *,
        feature_size: Sequence[int] | None = None,
        **cell_options: Any,
    ) -> None:
        super().__init__()
        if not isinstance(backbone, nn.Module):
            raise InputError(f"backbone is a {type(backbone).__name__}; it must be a torch.nn.Module")
        self.out_channels = positive_int("out_channels", out_channels)
        if not isinstance(hidden_dims, (list, tuple)) or not hidden_dims:
            raise InputError(f"hidden_dims is {hidden_dims!r}; it must be a list of at least one size")
        self.hidden_dims = [positive_int(f"hidden_dims[{i}]", size) for i, size in enumerate(hidden_dims)]
        self.task = choose("task", task, TASKS)
        self.num_outputs = positive_int("num_outputs", num_outputs)
        if task == "regression" and num_outputs != 1:
            raise InputError(f"num_outputs is {num_outputs}; regression takes exactly 1")
        self.head_type = choose("head_type", head_type, tuple(HEAD_TYPES))
        self.pool = choose("pool", pool, POOLS)
        self.feature_size = _checked_feature_size(pool, feature_size)
        self.backbone = backbone
        self.reduce = nn.Conv2d(self.out_channels, self.hidden_dims[0], kernel_size=1)
        cells = self.hidden_dims[0]
        if self.feature_size is not None:
            cells *= self.feature_size[0] * self.feature_size[1]
        dims = [cells, *self.hidden_dims[1:], self.num_outputs]
        try:
            self.head = HEAD_TYPES[head_type](*dims, **cell_options)
        except TypeError as error:
            raise InputError(f"{head_type} does not take this option: {error}") from error
        self.cell_options = {name: value for name, value in cell_options.items() if name != "init"}

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, num_outputs)`` for images ``(N, C, H, W)``."""
        x = self.reduce(self.backbone(x))
        if self.pool is not None:  # TorchScript compares a string with None only by identity
            x = torch.mean(x, dim=(2, 3)) if self.pool == "avg" else torch.sum(x, dim=(2, 3))
        x = self.head(torch.flatten(x, 1))
        if self.task == "classification":
            x = F.log_softmax(x, dim=1)
        return x


def _checked_feature_size(pool: str | None, size: Sequence[int] | None) -> tuple[int, int] | None:
    if pool is not None:
        if size is not None:
            raise InputError(f"feature_size is {size!r} with pool={pool!r}; give it only with pool=None")
        return None
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise InputError(f"feature_size is {size!r}; pool=None needs (H, W) of the backbone's output")
    return positive_int("feature_size[0]", size[0]), positive_int("feature_size[1]", size[1])


def build_head(
    backbone: nn.Module,
    out_channels: int,
    hidden_dims: Sequence[int],
    task: str,
    num_outputs: int,
    head_type: str = "NALU",
    pool: str | None = "avg",
    *,
    feature_size: Sequence[int] | None = None,
    **cell_options: Any,
) -> BackboneHead:
    """Build a CNN with an arithmetic head: backbone → 1×1 conv → pooling → flatten → NALU or NAC stack.

    Args:
        backbone: module from ``(N, C, H, W)`` to ``(N, out_channels, H′, W′)``.
        out_channels: number of channels that the backbone returns.
        hidden_dims: sizes inside the head; the 1×1 convolution returns ``hidden_dims[0]`` channels, and the head is a
            stack over ``hidden_dims + [num_outputs]``.
        task: ``"classification"`` ends in log-softmax; ``"regression"`` requires exactly one output.
        num_outputs: number of classes, or 1 for regression.
        head_type: ``"NALU"`` or ``"NAC"``.
        pool: ``"avg"`` or ``"sum"`` over height and width, so that any image size works (``"sum"`` suits
            counting), or ``None`` to flatten a fixed feature map.
        feature_size: ``(H′, W′)`` of the backbone's output; only with ``pool=None``.
        **cell_options: passed to the stack, for example ``init``, and for a NALU ``eps``, ``tied``, ``gate``.

    Returns:
        The module, with parts ``backbone``, ``reduce`` (the convolution) and ``head`` (the stack).

    Raises:
        InputError: an argument is not allowed; the message names it and the allowed values.

    Source of the cells: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508.
    """
    return BackboneHead(
        backbone,
        out_channels,
        hidden_dims,
        task,
        num_outputs,
        head_type,
        pool,
        feature_size=feature_size,
        **cell_options,
    )
