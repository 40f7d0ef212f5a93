"""A NALU in one class: Johnlrr's names, stored outputs first."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "flat",
    "a NALU in a Sequential with Linear and BatchNorm1d, in a repository whose owner is not "
    "known (give the prefix of the cell)",
    (Unit("NALU", NALUCell, hats() | {"G": weight("G")}, eps=1e-7),),
)
