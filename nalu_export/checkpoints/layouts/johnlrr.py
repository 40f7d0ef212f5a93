"""Johnlrr's units, all stored inputs first."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, hats, known, weight
from nalu_export.nn import NACCell, NALUCell

_NALU = hats(shape="io") | {"G": weight("G", "io")}

LAYOUT = Layout(
    "johnlrr",
    "Johnlrr/nalm",
    (
        Unit("NAC", NACCell, hats(shape="io")),
        Unit("NALU", NALUCell, _NALU, eps=1e-7),
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
