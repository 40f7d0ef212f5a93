"""A NALU whose gate is an nn.Linear with a bias."""

from nalu_export.checkpoints.layouts.base import CELL, Layout, Unit, hats, linear, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "linear-gate",
    "a stack called ArithmeticNetwork, in a repository without a name",
    (
        Unit(
            "NALU",
            NALUCell,
            hats("nac.", "io", names=("w_hat", "m_hat"))
            | {"gate.weight": linear("G"), "gate.bias": weight("G_bias", "o")},
            {"gate_bias": True},
            eps=1e-7,
            places=("layers.{}.", *CELL),
            quirks=("raw parameters inputs first, the gate outputs first",),
        ),
    ),
)
