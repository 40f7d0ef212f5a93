"""vrxacs' NALU, and the fauxNAC of its notebook, which gave the fault its name."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, faux, hats, stale, weight
from nalu_export.nn import NACCell, NALUCell

LAYOUT = Layout(
    "vrxacs",
    "vrxacs' NALU, with the fauxNAC notebook",
    (
        Unit("NAC", NACCell, hats()),
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G", "1i")} | hats("NAC."),
            {"gate": "row"},
            eps=1e-6,
            quirks=("one gate for each sample, shared by all outputs",),
        ),
        Unit(
            "fauxNAC",
            NACCell,
            {"W_hat": stale(), "M_hat": stale(), "weights": weight("W")},
            {"stored": True},
            quirks=(faux(weight="weights"),),
        ),
    ),
)
