"""A NALU whose gate is an nn.Linear with a bias."""

from nalu_export.checkpoints.layouts.base import CELL, Layout, Unit, hats, linear, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "linear-gate",
    "a stack called ArithmeticNetwork, in a repository whose owner is not known",
    (
        Unit(
            "NALU",
            NALUCell,
            hats("nac.", "io", names=("w_hat", "m_hat"))
            | {"gate.weight": linear("G"), "gate.bias": weight("G_bias", "o")},
            {"gate_bias": True},
            eps=1e-7,
            places=("layers.{}.", *CELL),
            quirks=("raw parameters are stored (inputs, outputs), the gate (outputs, inputs)",),
        ),
    ),
)
