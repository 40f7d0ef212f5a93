"""NALUs with a NAC for each path, nac_a and nac_m, and a gate G."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, known, weight
from nalu_export.nn import NALUCell

_KEYS = {"G": weight("G")} | hats("nac_a.") | hats("nac_m.", suffix="_mul")

LAYOUT = Layout(
    "nac-a-m",
    "NALUs; the owners of their repositories are not known",
    (
        Unit(
            "NALU",
            NALUCell,
            _KEYS,
            {"tied": False},
            eps=1e-12,
            quirks=("nac_a is the sum, nac_m the product; the same keys as iNALU, whose exponent is at most 1e-12",),
        ),
        # m = exp(min(log(max(|x|, 1e-12)) W, 1e-12)): the product is never above about 1. Not read.
        known("iNALU", *_KEYS),
    ),
)
