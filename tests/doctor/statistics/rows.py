"""Rows of layer tables, and cells with weights of one's choice."""

from typing import Any

import torch
from torch import nn

from nalu_export import NACCell, NALUCell
from nalu_export.doctor.statistics import weight_statistics
from tests.captured import graph_of

SHARES = dict[str, dict[str, Any]]


def statistics_of(model: nn.Module) -> SHARES:
    return weight_statistics(graph_of(model))


def with_weights(cell: NACCell | NALUCell, weights: list[list[float]], suffix: str = "") -> None:
    """Raw parameters that give these effective weights, to float32."""
    W = torch.tensor(weights, dtype=torch.float64)
    with torch.no_grad():
        getattr(cell, f"W_hat{suffix}").copy_(torch.atanh(W.clamp(-1 + 1e-12, 1 - 1e-12)))
        getattr(cell, f"M_hat{suffix}").fill_(50.0)


def gate(features: int, *, z: str = "linear(x, G)", other: str = "") -> list[dict[str, Any]]:
    other = other or f"-{z}"
    return [{"sum": f"sigmoid({z})", "product": f"sigmoid({other})", "inputs": {"x": [features]}}]


COMPUTED = {"W": "tanh(W_hat)·sigmoid(M_hat)"}
