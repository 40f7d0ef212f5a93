"""nkarasovd's NALU, with a faux NAC in each of its two paths."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Layout, Unit, faux, stored, weight
from nalu_export.nn import NACCell, NALUCell

_FAUX = faux()

LAYOUT = Layout(
    "nkarasovd",
    "nkarasovd's NALU; its language model holds one under the prefix final.",
    (
        Unit("NAC", NACCell, stored("W"), {"stored": True}, places=(*MODEL, *CELL), quirks=(_FAUX,)),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G")} | stored("NACCell_1.W") | stored("NACCell_2.W", "W_mul"),
            {"stored": True, "tied": False},
            eps=1e-10,
            places=(*MODEL, *CELL),
            quirks=(_FAUX, "NACCell_1 is the sum, NACCell_2 the product"),
        ),
    ),
)
