"""The a/m/g NALU with raw parameters stored inputs first."""

from nalu_export.checkpoints.layouts._amg import PLACES, amg_keys
from nalu_export.checkpoints.layouts.base import Layout, Unit
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "amg1",
    "a/m/g version 1; the owners of its repositories are not known",
    (
        Unit(
            "NALU",
            NALUCell,
            amg_keys("io"),
            {"tied": False},
            eps=1e-10,
            places=PLACES,
            quirks=("raw parameters are stored (inputs, outputs), the gate (outputs, inputs)",),
        ),
    ),
)
