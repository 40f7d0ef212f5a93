"""The signed NALU, a fork of arthurdouillard's: its product has the product of the signs of all inputs."""

from nalu_export.checkpoints.layouts.base import CELL, Key, Layout, Unit, twin, weight
from nalu_export.nn import SignedNALUCell

_NAMES = ("W_hat", "M_hat")
_GATE_TWICE = {"G": twin("_G", "11")}
_HATS_TWICE = {f"_nac.{name}": twin(f"_nac._{name}", "io") for name in _NAMES}


def _nalu(twice: dict[str, Key]) -> Unit:
    return Unit(
        "NALU",
        SignedNALUCell,
        {"_G": weight("G", "11")} | {f"_nac._{name}": weight(name, "io") for name in _NAMES} | twice,
        {"gate": "constant"},
        eps=1e-8,
        places=("_snalu_stack.{}.", *CELL),
        quirks=(
            "the sign of the product is the product of the signs of all inputs, 0 if an input is 0",
            "the gate is σ(G) for a single number G; it does not depend on the input",
        ),
    )


LAYOUT = Layout(
    "snalu",
    "a fork of arthurdouillard/nalu.pytorch, in a repository whose owner is not known",
    tuple(map(_nalu, (_GATE_TWICE | _HATS_TWICE, _HATS_TWICE, {}))),
)
