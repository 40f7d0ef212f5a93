"""Two formulas that several layers share."""

import torch
from torch import Tensor


def effective_weight(W_hat: Tensor, M_hat: Tensor) -> Tensor:
    """Return ``W = tanh(W_hat)·σ(M_hat)``, elementwise. Training drives each W towards −1, 0 or 1.

    Args:
        W_hat: raw parameter of any shape: sign and size of the weight.
        M_hat: raw parameter of the same shape: whether the weight is on or off.

    Returns:
        The effective weight, same shape, each element in (−1, 1).

    Source: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508, section 3.1.
    """
    return torch.tanh(W_hat) * torch.sigmoid(M_hat)


def log_magnitude(x: Tensor, eps: float) -> Tensor:
    """Return ``log(|x| + ε)``, elementwise. ε is part of the function and keeps it finite at ``x = 0``.

    Source: Trask et al. 2018, arXiv 1808.00508, section 3.2.
    """
    return torch.log(torch.abs(x) + eps)
