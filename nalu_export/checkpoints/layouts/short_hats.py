"""A NALU in one class, whose raw parameters are W_h and M_h."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "short-hats",
    "a NALU that is trained in float64, in a repository whose owner is not known",
    (Unit("NALU", NALUCell, hats(names=("W_h", "M_h")) | {"G": weight("G")}, eps=1e-10),),
)
