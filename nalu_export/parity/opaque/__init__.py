"""The error of code that is not arithmetic: one file for each kind of allowance, and a measurement for the rest."""

from nalu_export.parity.opaque.calls import OpaqueCalls
from nalu_export.parity.opaque.measured import JITTERS, SAFETY

__all__ = ["JITTERS", "SAFETY", "OpaqueCalls"]
