"""The a/m/g NALU with clamps, a gate bias and ε in the file."""

from nalu_export.checkpoints.layouts._amg import PLACES, amg_keys
from nalu_export.checkpoints.layouts.base import Layout, Unit, argument, weight
from nalu_export.nn import ClampedNALUCell


def _nalu(*, gate_bias: bool) -> Unit:
    bias = {"g.bias": weight("G_bias", "o")} if gate_bias else {}
    return Unit(
        "NALU",
        ClampedNALUCell,
        amg_keys("oi") | bias | {"eps": argument("eps")},
        {"floor": 1e-7, "limit": 20.0, "gate_bias": gate_bias},
        eps=1e-8,
        places=PLACES,
        quirks=(
            "the file stores eps",
            "magnitudes are at least 1e-7 and exponents are limited to ±20, the defaults; the file does "
            "not store these limits",
        ),
    )


LAYOUT = Layout(
    "amg3",
    "a/m/g version 3; the owners of its repositories are not known",
    (_nalu(gate_bias=True), _nalu(gate_bias=False)),
)
