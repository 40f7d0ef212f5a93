"""bharathgs' NALU, releases 0.0.1 to 0.0.4."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Layout, Unit, faux, hats, stored, weight
from nalu_export.nn import NACCell, NALUCell

_RAW = ("W_", "M_")
_PLACES = (*MODEL, *CELL)
_SQUARE = "NaluCell(i, o) builds NacCell(o, i), so its forward fails for any other size"
_FAUX = faux("W_ and M_")

LAYOUT = Layout(
    "bharathgs",
    "bharathgs/NALU on PyPI: 0.0.3 and 0.0.4 (NAC, NALU), 0.0.2 (fauxNAC, fauxNALU), 0.0.1 (fauxNALU-untied)",
    (
        Unit("NAC", NACCell, hats(names=_RAW), places=_PLACES),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G")} | hats("nac.", names=_RAW),
            eps=1e-5,
            places=_PLACES,
            square=_SQUARE,
            quirks=("square layers only",),
        ),
        Unit("fauxNAC", NACCell, stored("W", names=_RAW), {"stored": True}, places=_PLACES, quirks=(_FAUX,)),
        Unit(
            "fauxNALU",
            NALUCell,
            {"G": weight("G")} | stored("nac.W", names=_RAW),
            {"stored": True},
            eps=1e-5,
            places=_PLACES,
            square=_SQUARE,
            quirks=(_FAUX, "square layers only"),
        ),
        Unit(
            "fauxNALU-untied",
            NALUCell,
            {"G": weight("G"), "W": weight("W_mul")} | stored("nac.W", names=_RAW),
            {"stored": True, "tied": False},
            eps=1e-5,
            places=_PLACES,
            square=_SQUARE,
            quirks=(_FAUX, "square layers only", "nac.W is the weight of the sum, W that of the product"),
        ),
    ),
)
