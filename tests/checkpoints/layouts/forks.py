"""Forks, first commits, and modules of repositories without a name, as their sources write them."""

from tests.checkpoints.layouts import formulas as f
from tests.checkpoints.layouts.case import Published, io, oi

_HATS = ("W_hat", "M_hat")
_NAC_HATS = ("nac.W_hat", "nac.M_hat")
_BHARATHGS_HATS = ("nac.W_", "nac.M_")
_TRAINED, _TRAINED_NAC = f.effective(*_HATS), f.effective(*_NAC_HATS)
_TIED = f.nalu(_TRAINED_NAC, _TRAINED_NAC, f.raw("G"))
# df41cf2, the first commit
_FIRST = {"add": f.effective("nac_add.W_hat", "nac_add.M_hat"), "log": f.effective("nac_log.W_hat", "nac_log.M_hat")}
JOHNLRR_FIRST = [
    Published(
        "johnlrr:NALU-first",
        oi("G", *(f"nac_{path}.{key}" for path in ("add", "log") for key in _HATS)),
        f.nalu(_FIRST["add"], _FIRST["log"], f.raw("G")),
        1e-7,
        place="",
    ),
    Published(
        "johnlrr:iNALU-first",
        oi("G", *(f"nac_{path}.{key}" for path in ("add", "mul") for key in _HATS)),
        f.first_inalu,
        1e-7,
        place="",
    ),
]

_FORK_HATS = f.effective("nac.W_", "nac.M_")
FORKS = [
    *(
        Published(
            "bharathgs-io:NALU",
            {"G": "oi"} | io(*_BHARATHGS_HATS),
            f.nalu(f.transposed(_FORK_HATS), f.transposed(_FORK_HATS), f.raw("G")),
            1e-5,
            place=place,
        )
        for place in ("", "model.{}.")
    ),
    *(
        Published(
            "bharathgs-repaired:NALU",
            oi("G", *_BHARATHGS_HATS),
            f.nalu(_FORK_HATS, _FORK_HATS, f.raw("G")),
            1e-7,
            place=place,
        )
        for place in ("", "model.{}.")
    ),
]

_TCH = f.effective("nac.W", "nac.M")
_DENSE = ("nac.tanh_weights", "nac.sigmoid_weights")
_DENSE_NAC = ("tanh_weights", "sigmoid_weights")
_SNALU_HATS = ("_nac._W_hat", "_nac._M_hat")
_SNALU_TWICE = {"_nac.W_hat": "_nac._W_hat", "_nac.M_hat": "_nac._M_hat"}
_SHORT = f.effective("W_h", "M_h")
_PATHS = ("nac_a.W_hat", "nac_a.M_hat", "nac_m.W_hat", "nac_m.M_hat")
# Of repositories without a name.
UNNAMED = [
    Published(
        "linear-gate:NALU",
        io("nac.w_hat", "nac.m_hat") | {"gate.weight": "oi", "gate.bias": "o"},
        f.linear_gate,
        1e-7,
        place="layers.{}.",
    ),
    Published("short-hats:NALU", oi("W_h", "M_h", "G"), f.nalu(_SHORT, _SHORT, f.raw("G")), 1e-10, place=""),
    Published(
        "flat:NALU",
        oi(*_HATS, "G"),
        f.nalu(_TRAINED, _TRAINED, f.raw("G")),
        1e-7,
        place="",
        rivals=("johnlrr:NALU", "nalu-export:NALU"),
    ),
    Published("raw:NALU", oi("G", "W", "M"), f.nalu(f.raw("W"), f.raw("M"), f.raw("G")), 1e-7, place=""),
    Published("unread-hats:NALU", oi(*_HATS, "G", *_NAC_HATS), _TIED, 1e-8, place="", unread=_HATS),
    Published(
        "nac-a-m:NALU",
        oi("G", *_PATHS),
        f.nalu(f.effective(*_PATHS[:2]), f.effective(*_PATHS[2:]), f.raw("G")),
        1e-12,
        place="",
        rivals=("nac-a-m:iNALU",),
    ),
    Published("tch-rs:NAC", oi("W", "M"), f.nac(f.effective("W", "M")), place="", hats=("W",)),
    Published(
        "tch-rs:NALU", oi("G", "nac.W", "nac.M"), f.nalu(_TCH, _TCH, f.raw("G")), 1e-5, place="", hats=("nac.W",)
    ),
    Published("no-log:NAC", oi(*_DENSE_NAC), f.nac(f.effective(*_DENSE_NAC)), place="", hats=_DENSE_NAC),
    Published(
        "no-log:NALU",
        oi(*_DENSE, "gate_weights"),
        f.logless_nalu,
        1e-12,
        place="",
        hats=(*_DENSE, "gate_weights"),
        scales={_DENSE[0]: 1e-3},
    ),
    *(
        Published(
            "snalu:NALU",
            {"_G": "11"} | dict.fromkeys(gate, "11") | io(*_SNALU_HATS, *twice),
            f.signed_nalu,
            1e-8,
            place=place,
            gate_of_one=place == "" and bool(gate),
            aliases=twice | gate,
        )
        for twice, gate in ((_SNALU_TWICE, {"G": "_G"}), (_SNALU_TWICE, {}), ({}, {}))
        for place in ("", "_snalu_stack.{}.")
    ),
]
