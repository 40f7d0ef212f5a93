"""A fork of bharathgs' NALU that transposes the weight of its NAC."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Layout, Unit, hats, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "bharathgs-io",
    "a fork of bharathgs/NALU, in a repository whose owner is not known",
    (
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G")} | hats("nac.", "io", names=("W_", "M_")),
            eps=1e-5,
            places=(*MODEL, *CELL),
            quirks=("raw parameters are stored (inputs, outputs), the gate (outputs, inputs)",),
        ),
    ),
)
