"""bharathgs' NALU in Rust, with tch-rs."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, weight
from nalu_export.nn import NACCell, NALUCell

_RAW = ("W", "M")

LAYOUT = Layout(
    "tch-rs",
    "a NaluCell for tch-rs, in a repository whose owner is not known",
    (
        Unit("NAC", NACCell, hats(names=_RAW), quirks=("W and M are the raw parameters",)),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G")} | hats("nac.", names=_RAW),
            eps=1e-5,
            quirks=("nac.W and nac.M are the raw parameters",),
        ),
    ),
)
