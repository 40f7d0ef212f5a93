"""The units of Johnlrr/nalm: stored inputs first, except for those of the first commit."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, known, weight
from nalu_export.nn import ClampedNALUCell, NACCell, NALUCell

_FIRST = "as of commit df41cf2, stored (outputs, inputs); from commit 1e93921 on, the keys are different"
_NALU = hats(shape="io") | {"G": weight("G", "io")}

LAYOUT = Layout(
    "johnlrr",
    "Johnlrr/nalm",
    (
        Unit("NAC", NACCell, hats(shape="io")),
        Unit("NALU", NALUCell, _NALU, eps=1e-7),
        Unit(
            "NALU-first",
            NALUCell,
            {"G": weight("G")} | hats("nac_add.") | hats("nac_log.", suffix="_mul"),
            {"tied": False},
            eps=1e-7,
            quirks=(_FIRST,),
        ),
        Unit(
            "iNALU-first",
            ClampedNALUCell,
            {"G": weight("G")} | hats("nac_add.") | hats("nac_mul.", suffix="_mul"),
            {"floor": 0.0, "limit": 20.0, "gate_bias": False},
            eps=1e-7,
            quirks=(_FIRST, "exponents are limited to ±20, the default; the file does not store the limit"),
        ),
        known("NAC_mul", "W_hat", "M_hat"),
        Unit("GNALU", None, _NALU),
        known("NAU", "W"),
        known("NMU", "W"),
        known("iNPU", "W"),
        known("iNALU", "W_hat_add", "M_hat_add", "W_hat_mul", "M_hat_mul", "G"),
        known("NPU", "W_real", "W_imag", "G"),
        known("RealNPU", "W_real", "G"),
    ),
)
