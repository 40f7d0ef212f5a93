"""A fork of bharathgs' NALU that runs with any sizes."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Layout, Unit, hats, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "bharathgs-repaired",
    "a fork of bharathgs/NALU with the sizes of its NAC repaired, in a repository whose owner is not known",
    (
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G")} | hats("nac.", names=("W_", "M_")),
            eps=1e-7,
            places=(*MODEL, *CELL),
        ),
    ),
)
