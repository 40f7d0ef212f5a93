"""The error of opaque ops: rules for the common ones, one file for each kind, and a measurement for the rest."""

from nalu_export.parity.opaque.calls import OpaqueCalls
from nalu_export.parity.opaque.measured import JITTERS
from nalu_export.parity.opaque.parametrised import SAFETY

__all__ = ["JITTERS", "SAFETY", "OpaqueCalls"]
