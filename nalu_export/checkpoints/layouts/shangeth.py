"""shangeth's NALU notebook."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, faux, stored, weight
from nalu_export.nn import NACCell, NALUCell

_RAW = ("W1", "W2")
_FAUX = faux("W1 and W2")

LAYOUT = Layout(
    "shangeth",
    "shangeth's NALU notebook",
    (
        Unit("NAC", NACCell, stored("W", names=_RAW), {"stored": True}, quirks=(_FAUX,)),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G"), "W": weight("W_mul")} | stored("nac.W", names=_RAW),
            {"stored": True, "tied": False},
            eps=1e-5,
            quirks=(_FAUX, "nac.W is the weight of the sum, W that of the product"),
        ),
    ),
)
