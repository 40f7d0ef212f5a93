"""wassname's own units; wassname's other files are a snapshot of kevinzakka's."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Layout, Unit, faux, linear, stored, weight
from nalu_export.nn import NACExactCell, SinhNALUCell

LAYOUT = Layout(
    "wassname",
    "wassname's fork of kevinzakka/NALU-pytorch",
    (
        Unit(
            "NAC_exact",
            NACExactCell,
            {
                "gate.weight": linear("G"),
                "gate.bias": weight("G_bias", "o"),
                "transform.weight": linear("W"),
                "transform.bias": weight("bias", "o"),
            },
            places=(*MODEL, *CELL),
            quirks=("y = (1 − 2σ(gate))·transform, not a bounded weight",),
        ),
        Unit(
            "NALU_sinh",
            SinhNALUCell,
            {"G": weight("G")} | stored("nac.W"),
            {"stored": True},
            places=(*MODEL, *CELL),
            quirks=(
                "the product is sinh(W asinh(x)), which keeps signs and has no eps",
                faux(),
            ),
        ),
    ),
)
