"""State_dicts of this package's own layers, as model.state_dict() gives them, and of build_head."""

from dataclasses import replace
from itertools import product

from nalu_export.checkpoints.layouts.base import CELL, Around, Key, Layout, Unit, hats, weight
from nalu_export.nn import NACCell, NALUCell

_PLACES = ("layers.{}.", *CELL)
_DEFAULT_EPS = 1e-10
_QUIRK = "G is (1, i) with gate='row' and (1,) with gate='constant'"
_HEAD = Around("backbone.", "reduce.")
_POOL = (
    "the file does not hold the code of the backbone, nor the task if there is one output; give both. It does not "
    "hold the pooling either: an average, the default of build_head, is assumed"
)
_GATES = {"matrix": "oi", "row": "1i", "constant": "1"}


def _weights(stored: bool, suffix: str = "") -> dict[str, Key]:
    return (
        {f"W{suffix}": weight(f"W{suffix}")}
        if stored
        else {f"{name}{suffix}": key for name, key in hats(suffix=suffix).items()}
    )


def _nalu(tied: bool, stored: bool, gate: str, two_gates: bool, gate_bias: bool) -> Unit:
    keys = _weights(stored) | {"G": weight("G", _GATES[gate])} | ({} if tied else _weights(stored, "_mul"))
    keys |= {"G_mul": weight("G_mul")} if two_gates else {}
    keys |= {"G_bias": weight("G_bias", "o")} if gate_bias else {}
    keys |= {"G_bias_mul": weight("G_bias_mul", "o")} if gate_bias and two_gates else {}
    options = {"tied": tied, "gate": gate, "stored": stored, "two_gates": two_gates, "gate_bias": gate_bias}
    return Unit("NALU", NALUCell, keys, options, eps=_DEFAULT_EPS, places=_PLACES, quirks=(_QUIRK,))


_FLAGS = (False, True)
_NALUS = [
    _nalu(tied, stored, gate, two_gates, gate_bias)
    for tied, stored, gate, two_gates, gate_bias in product((True, False), _FLAGS, _GATES, _FLAGS, _FLAGS)
    if gate == "matrix" or not (two_gates or gate_bias)
]

_NACS = [Unit("NAC", NACCell, _weights(flag), {"stored": flag}, places=_PLACES) for flag in _FLAGS]


def _behind_a_cnn(unit: Unit) -> Unit:
    return replace(unit, name="build_head", places=("head.layers.{}.",), around=_HEAD, quirks=(_POOL, *unit.quirks))


LAYOUT = Layout(
    "nalu-export",
    "this package; nalu_export.save stores the layers with the weights, a state_dict does not",
    (*_NACS, *_NALUS, *map(_behind_a_cnn, (*_NALUS, *_NACS))),
)
