"""Nilabhra's NALU, whose gate is one number that does not depend on the input."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, weight
from nalu_export.nn import NACCell, NALUCell

LAYOUT = Layout(
    "nilabhra",
    "Nilabhra's NALU",
    (
        Unit("NAC", NACCell, hats()),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G", "11")} | hats("nac."),
            {"gate": "constant"},
            eps=1e-12,
            quirks=("the gate is σ(G) for a single number G; it does not depend on the input",),
        ),
    ),
)
