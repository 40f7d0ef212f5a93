"""simkir00's NALU, which is nkarasovd's with other names."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Layout, Unit, faux, stored, weight
from nalu_export.nn import NACCell, NALUCell

_FAUX = faux()

LAYOUT = Layout(
    "simkir00",
    "simkir00's NALU",
    (
        Unit("NAC", NACCell, stored("W"), {"stored": True}, places=(*MODEL, *CELL), quirks=(_FAUX,)),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G")} | stored("NAC_cell_1.W") | stored("NAC_cell_2.W", "W_mul"),
            {"stored": True, "tied": False},
            eps=1e-10,
            places=(*MODEL, *CELL),
            quirks=(
                _FAUX,
                "NAC_cell_1 is the sum, NAC_cell_2 the product",
            ),
        ),
    ),
)
