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
            "magnitudes are at least 1e-7 and exponents within ±20, its defaults; the file does not store them",
        ),
    )


LAYOUT = Layout(
    "amg3",
    "a/m/g version 3, in several repositories without a name",
    (_nalu(gate_bias=True), _nalu(gate_bias=False)),
)
