"""A NALU whose weights are the parameters themselves, without tanh and sigmoid."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "raw",
    "a NALULayer in several repositories whose owners are not known",
    (
        Unit(
            "NALU",
            NALUCell,
            {"G": weight("G"), "W": weight("W"), "M": weight("W_mul")},
            {"stored": True, "tied": False},
            eps=1e-7,
            quirks=(
                "W is the weight of the sum, M the weight of the product; both are used as stored, without bounds",
            ),
            by_intent=True,
        ),
    ),
)
