"""The a/m/g NALU with everything stored outputs first."""

from nalu_export.checkpoints.layouts._amg import PLACES, amg_keys
from nalu_export.checkpoints.layouts.base import Layout, Unit
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "amg2",
    "a/m/g version 2; the owners of its repositories are not known",
    (Unit("NALU", NALUCell, amg_keys("oi"), {"tied": False}, eps=1e-10, places=PLACES),),
)
