"""A NALU whose product lacks the logarithm."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, weight
from nalu_export.nn import LoglessNALUCell, NACCell

_RAW = ("tanh_weights", "sigmoid_weights")

LAYOUT = Layout(
    "no-log",
    "a NALU behind a DenseNet, in a repository whose owner is not known",
    (
        Unit("NAC", NACCell, hats(names=_RAW)),
        Unit(
            "NALU",
            LoglessNALUCell,
            hats("nac.", names=_RAW) | {"gate_weights": weight("G")},
            eps=1e-12,
            quirks=("the product has no logarithm: it is exp of the weighted sum of magnitudes",),
        ),
    ),
)
