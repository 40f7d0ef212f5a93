"""Layers that a user trains, and the builders that put them behind a backbone."""

from nalu_export.nn.clamped_nalu import ClampedNALUCell
from nalu_export.nn.head import BackboneHead, build_head
from nalu_export.nn.layer import ArithmeticLayer
from nalu_export.nn.logless_nalu import LoglessNALUCell
from nalu_export.nn.nac import NACCell
from nalu_export.nn.nac_exact import NACExactCell
from nalu_export.nn.nalu import NALUCell
from nalu_export.nn.signed_nalu import SignedNALUCell
from nalu_export.nn.sinh_nalu import SinhNALUCell
from nalu_export.nn.stack import NAC, NALU

__all__ = [
    "NAC",
    "NALU",
    "ArithmeticLayer",
    "BackboneHead",
    "ClampedNALUCell",
    "LoglessNALUCell",
    "NACCell",
    "NACExactCell",
    "NALUCell",
    "SignedNALUCell",
    "SinhNALUCell",
    "build_head",
]
