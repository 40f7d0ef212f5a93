"""The units of AndreasMadsen/stable-nalu and bmistry4/nalm-benchmark, which use the same modules."""

from itertools import product

from nalu_export.checkpoints.layouts.base import CELL, Layout, Unit, hats, known, weight
from nalu_export.nn import NACCell, NALUCell

# SingleLayerNetwork and SimpleFunctionStaticNetwork count layers from 1; a GeneralizedLayer alone is called layer.
_NETS = ("layer_{}.layer.", "layer.")
_PLACES = (*_NETS, *CELL)
_SAME = "the same keys as"
_MUL_MCFC = ("bias", "mcfc.out_gate.fc.weight", "mcfc.out_gate.fc.bias", "mcfc.junction.r")


def _nalu(two_nac: bool, two_gate: bool, bias: bool) -> Unit:
    keys = {"G_add": weight("G")}
    keys |= {"G_mul": weight("G_mul")} if two_gate else {}
    keys |= {"bias_add": weight("G_bias", "o")} if bias else {}
    keys |= {"bias_mul": weight("G_bias_mul", "o")} if bias and two_gate else {}
    keys |= hats("nac_add.") | (hats("nac_mul.", suffix="_mul") if two_nac else {})
    options = {"tied": not two_nac, "two_gates": two_gate, "gate_bias": bias}
    return Unit(
        "NALU",
        NALUCell,
        keys,
        options,
        eps=1e-7,
        places=_PLACES,
        first=1,
        quirks=(f"{_SAME} G-NALU, safe, trig and gumbel",),
    )


_NALUS = tuple(_nalu(*choice) for choice in product((False, True), repeat=3))
_LIKE_NALU = tuple(
    Unit(name, None, unit.keys, places=_PLACES, first=1)
    for name in ("G-NALU", "NALU-safe", "NALU-trig", "NALU-gumbel")
    for unit in _NALUS
)

LAYOUT = Layout(
    "stable-nalu",
    "AndreasMadsen/stable-nalu and bmistry4/nalm-benchmark",
    (
        Unit("NAC", NACCell, hats(), places=_PLACES, first=1, quirks=(f"{_SAME} NAC* and the golden-ratio NAC",)),
        *_NALUS,
        *_LIKE_NALU,
        known("NAC*", "W_hat", "M_hat", places=_PLACES, first=1),
        known("G-NAC", "W_hat", "M_hat", places=_PLACES, first=1),
        Unit(
            "LinearNAC",
            NACCell,
            {"W": weight("W")},
            {"stored": True},
            places=_PLACES,
            first=1,
            quirks=("a linear layer by design; " + _SAME + " NAU, PosNAU and NMU",),
            by_intent=True,
        ),
        known("NAU", "W", places=_PLACES, first=1),
        known("PosNAU", "W", places=_PLACES, first=1),
        known("NMU", "W", places=_PLACES, first=1),
        known("MNAC", "W_hat", places=_PLACES, first=1),
        known("PosNAC", "W_hat", places=_PLACES, first=1),
        known("iNALU", "W_a_hat", "M_a_hat", "W_m_hat", "M_m_hat", "g", places=_PLACES, first=1),
        known("NPU", "W_real", "W_im", "g", places=_PLACES, first=1),
        known("RealNPU", "W_real", "g", places=_PLACES, first=1),
        known("MCFC", "out_gate.fc.weight", "out_gate.fc.bias", "junction.r", places=_PLACES, first=1),
        known("MulMCFC", *_MUL_MCFC, places=_PLACES, first=1),
        known("MulMCFCSignINALU", *_MUL_MCFC, places=_PLACES, first=1),
        known("MulMCFCSignRealNPU", *_MUL_MCFC, "g", places=_PLACES, first=1),
        known("SoftmaxNAC", "W_hat", "W_hat_k", "target_weights", places=_PLACES, first=1),
        known("GumbelNAC", "W_hat", "W_hat_k", "target_weights", "tau", places=_PLACES, first=1),
        known("HardSoftmaxNAC", "W_hat", "W_hat_k", "target_weights", "sample", places=_PLACES, first=1),
        known("BasicLayer", "W", "bias", places=_PLACES, first=1),
    ),
)
