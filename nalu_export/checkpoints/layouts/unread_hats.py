"""A NALU with raw parameters of its own that nothing reads."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, stale, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "unread-hats",
    "a NALU in a repository whose owner is not known",
    (
        Unit(
            "NALU",
            NALUCell,
            {"W_hat": stale(), "M_hat": stale(), "G": weight("G")} | hats("nac."),
            eps=1e-8,
            quirks=("W_hat and M_hat outside nac. are never read",),
        ),
    ),
)
