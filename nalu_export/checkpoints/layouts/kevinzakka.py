"""The units of kevinzakka/NALU-pytorch; wassname, kornellewy and iamtrask have snapshots of it."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Layout, Unit, faux, hats, stored, weight
from nalu_export.nn import NACCell, NALUCell

_PLACES = (*MODEL, *CELL)
_FAUX = faux()

LAYOUT = Layout(
    "kevinzakka",
    "kevinzakka/NALU-pytorch: 8ddca09 (today), f4941c5 (6 August 2018), 5bf6e24 (4 August 2018)",
    (
        Unit("NAC", NACCell, hats(), places=_PLACES),
        Unit("NALU", NALUCell, {"G": weight("G")} | hats("nac."), eps=1e-10, places=_PLACES),
        Unit("fauxNAC", NACCell, stored("W"), {"stored": True}, places=_PLACES, quirks=(_FAUX,)),
        Unit(
            "fauxNALU",
            NALUCell,
            {"G": weight("G")} | stored("nac.W"),
            {"stored": True},
            eps=1e-10,
            places=_PLACES,
            quirks=(_FAUX,),
        ),
        Unit(
            "fauxNALU-untied",
            NALUCell,
            {"G": weight("G"), "W": weight("W_mul")} | stored("nac.W"),
            {"stored": True, "tied": False},
            eps=1e-10,
            places=_PLACES,
            quirks=(_FAUX, "nac.W is the weight of the sum, W that of the product"),
        ),
    ),
)
