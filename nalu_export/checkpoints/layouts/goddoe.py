"""goddoe's NALU: stored weights, inputs first."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, faux, stored, weight
from nalu_export.nn import NACCell, NALUCell

_FAUX = faux()

LAYOUT = Layout(
    "goddoe",
    "goddoe's NALU",
    (
        Unit("NAC", NACCell, stored("W", shape="io"), {"stored": True}, quirks=(_FAUX,)),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G", "io")} | stored("nac.W", shape="io"),
            {"stored": True},
            eps=1e-8,
            quirks=(_FAUX,),
        ),
    ),
)
