"""Every public layout as its source writes it: keys in order, shapes, orientation, ε, and what it computes.

Keys, shapes and formulas were read from the sources; a commit stands where a layout is not that of the newest one.
"""

from tests.checkpoints.layouts import formulas as f
from tests.checkpoints.layouts.case import Published, io, oi
from tests.checkpoints.layouts.forks import FORKS, JOHNLRR_FIRST, UNNAMED

_HATS = ("W_hat", "M_hat")
_FAUX = (*_HATS, "W")
_NAC_HATS = ("nac.W_hat", "nac.M_hat")
_NAC_FAUX = (*_NAC_HATS, "nac.W")
_TRAINED = f.effective("W_hat", "M_hat")
_TRAINED_NAC = f.effective("nac.W_hat", "nac.M_hat")
_TIED_FAUX = f.nalu(f.raw("nac.W"), f.raw("nac.W"), f.raw("G"))
# The stored W multiplies and the stored nac.W adds: kevinzakka 5bf6e24, bharathgs 98e3a55, shangeth, shivamsaboo17.
_UNTIED_FAUX = f.nalu(f.raw("nac.W"), f.raw("W"), f.raw("G"))
_TIED = f.nalu(_TRAINED_NAC, _TRAINED_NAC, f.raw("G"))

SHIVAMSABOO17 = [
    Published("shivamsaboo17:NAC", oi("W"), f.nac(f.raw("W"))),
    Published("shivamsaboo17:NAC", oi("W"), f.nac(f.raw("W")), place="", rivals=("johnlrr:NAU",)),
    *(
        Published("shivamsaboo17:NALU", oi("G", "W", "nac.W"), _UNTIED_FAUX, 1e-10, place=place)
        for place in ("model.{}.", "")
    ),
]

# The same function of the same keys for as long as the chain of a stack or a prefix shows the orientation.
_PLAIN_NAC = ("kevinzakka:NAC", "vrxacs:NAC", "nilabhra:NAC")
_FAUX_NAC = ("kevinzakka:fauxNAC", "nkarasovd:NAC", "simkir00:NAC")
KEVINZAKKA = [
    Published("kevinzakka:NAC", oi(*_HATS), f.nac(_TRAINED), same=_PLAIN_NAC),
    Published("kevinzakka:NAC", oi(*_HATS), f.nac(_TRAINED), place="", same=_PLAIN_NAC, rivals=("johnlrr:NAC",)),
    Published("kevinzakka:NALU", oi("G", *_NAC_HATS), _TIED, 1e-10),
    Published("kevinzakka:NALU", oi("G", *_NAC_HATS), _TIED, 1e-10, place=""),
    # 5bf6e24 to f4941c5
    Published("kevinzakka:fauxNAC", oi(*_FAUX), f.nac(f.raw("W")), same=_FAUX_NAC),
    Published("kevinzakka:fauxNAC", oi(*_FAUX), f.nac(f.raw("W")), place="", rivals=("goddoe:NAC",)),
    # 5bf6e24 to 3632c23
    Published("kevinzakka:fauxNALU-untied", oi("G", "W", *_NAC_FAUX), _UNTIED_FAUX, 1e-10),
    Published("kevinzakka:fauxNALU-untied", oi("G", "W", *_NAC_FAUX), _UNTIED_FAUX, 1e-10, place=""),
    # f4941c5
    Published("kevinzakka:fauxNALU", oi("G", *_NAC_FAUX), _TIED_FAUX, 1e-10, rivals=("wassname:NALU_sinh",)),
    Published("kevinzakka:fauxNALU", oi("G", *_NAC_FAUX), _TIED_FAUX, 1e-10, place="", rivals=("goddoe:NALU",)),
]

_VRXACS_WEIGHT = f.effective("NAC.W_hat", "NAC.M_hat")
_VRXACS_NALU = f.nalu(_VRXACS_WEIGHT, _VRXACS_WEIGHT, f.raw("G"))
_VRXACS_KEYS = {"G": "1i", "NAC.W_hat": "oi", "NAC.M_hat": "oi"}
VRXACS = [
    Published("vrxacs:NAC", oi(*_HATS), f.nac(_TRAINED), place="", same=_PLAIN_NAC, rivals=("johnlrr:NAC",)),
    Published("vrxacs:NALU", _VRXACS_KEYS, _VRXACS_NALU, 1e-6, place=""),
    Published("vrxacs:NALU", _VRXACS_KEYS, _VRXACS_NALU, 1e-6, place="{}."),
    # fauxNAC.ipynb
    Published("vrxacs:fauxNAC", oi(*_HATS, "weights"), f.nac(f.raw("weights")), place=""),
    Published("vrxacs:fauxNAC", oi(*_HATS, "weights"), f.nac(f.raw("weights")), place="{}."),
]

# NaluCell(i, o) builds NacCell(o, i) in every release, so that only square cells run.
_BHARATHGS_HATS = ("nac.W_", "nac.M_")
_BHARATHGS_WEIGHT = f.effective(*_BHARATHGS_HATS)
BHARATHGS = [
    # 0.0.3 and 0.0.4
    Published("bharathgs:NAC", oi("W_", "M_"), f.nac(f.effective("W_", "M_")), place=""),
    *(
        Published(
            "bharathgs:NALU",
            oi("G", *_BHARATHGS_HATS),
            f.nalu(_BHARATHGS_WEIGHT, _BHARATHGS_WEIGHT, f.raw("G")),
            1e-5,
            place=place,
            square=True,
        )
        for place in ("", "model.{}.")
    ),
    # 0.0.2, e0d8524
    Published("bharathgs:fauxNAC", oi("W_", "M_", "W"), f.nac(f.raw("W")), place=""),
    Published("bharathgs:fauxNALU", oi("G", *_BHARATHGS_HATS, "nac.W"), _TIED_FAUX, 1e-5, square=True),
    # 0.0.1, 98e3a55
    Published("bharathgs:fauxNALU-untied", oi("G", "W", *_BHARATHGS_HATS, "nac.W"), _UNTIED_FAUX, 1e-5, square=True),
]

_DOUILLARD_HATS = ("_W_hat", "_M_hat", "W_hat", "M_hat")
_DOUILLARD_WEIGHT = f.transposed(f.effective("_nac._W_hat", "_nac._M_hat"))
ARTHURDOUILLARD = [
    *(
        Published(
            "arthurdouillard:NAC",
            io(*_DOUILLARD_HATS),
            f.nac(f.transposed(f.effective("_W_hat", "_M_hat"))),
            place=place,
            aliases={"W_hat": "_W_hat", "M_hat": "_M_hat"},
        )
        for place in ("", "_nac_stack.{}.")
    ),
    *(
        Published(
            "arthurdouillard:NALU",
            {"_G": "i1", "G": "i1"} | io(*(f"_nac.{key}" for key in _DOUILLARD_HATS)),
            f.nalu(_DOUILLARD_WEIGHT, _DOUILLARD_WEIGHT, f.transposed(f.raw("_G"))),
            1e-8,
            place=place,
            aliases={"G": "_G", "_nac.W_hat": "_nac._W_hat", "_nac.M_hat": "_nac._M_hat"},
            gate_of_one=place == "",
        )
        for place in ("", "_nalu_stack.{}.")
    ),
]


def _two_nacs(owner: str, add: str, mul: str) -> Published:
    """A stored W for the sum and another for the product, each beside hats that never trained."""
    keys = oi("G", *(f"{nac}.{key}" for nac in (add, mul) for key in _FAUX))
    return Published(f"{owner}:NALU", keys, f.nalu(f.raw(f"{add}.W"), f.raw(f"{mul}.W"), f.raw("G")), 1e-10)


NKARASOVD = [
    Published("nkarasovd:NAC", oi(*_FAUX), f.nac(f.raw("W")), same=_FAUX_NAC),
    _two_nacs("nkarasovd", "NACCell_1", "NACCell_2"),
]
SIMKIR00 = [_two_nacs("simkir00", "NAC_cell_1", "NAC_cell_2")]

_NILABHRA_KEYS = {"G": "11"} | oi(*_NAC_HATS)
NILABHRA = [
    Published("nilabhra:NALU", _NILABHRA_KEYS, f.constant_gate, 1e-12, place=""),
    # NALU_experiments.ipynb: nn.Sequential of two
    Published("nilabhra:NALU", _NILABHRA_KEYS, f.constant_gate, 1e-12, place="{}."),
]

_GODDOE_WEIGHT = f.transposed(f.raw("nac.W"))
GODDOE = [
    Published("goddoe:NAC", io(*_FAUX), f.nac(f.transposed(f.raw("W"))), place="", rivals=("kevinzakka:fauxNAC",)),
    Published(
        "goddoe:NALU",
        io("G", *_NAC_FAUX),
        f.nalu(_GODDOE_WEIGHT, _GODDOE_WEIGHT, f.transposed(f.raw("G"))),
        1e-8,
        place="",
        rivals=("kevinzakka:fauxNALU",),
    ),
]

SHANGETH = [
    Published("shangeth:NAC", oi("W1", "W2", "W"), f.nac(f.raw("W")), place=""),
    Published("shangeth:NALU", oi("G", "W", "nac.W1", "nac.W2", "nac.W"), _UNTIED_FAUX, 1e-5, place=""),
]

WASSNAME = [
    Published(
        "wassname:NAC_exact",
        {"gate.weight": "oi", "gate.bias": "o", "transform.weight": "oi", "transform.bias": "o"},
        f.nac_exact,
        one_way=True,
    ),
    Published("wassname:NALU_sinh", oi("G", *_NAC_FAUX), f.nalu_sinh, rivals=("kevinzakka:fauxNALU",)),
]

_AMG_HATS = ("a.w_hat", "a.m_hat", "m.w_hat", "m.m_hat")
_AMG_PATHS = (f.effective("a.w_hat", "a.m_hat"), f.effective("m.w_hat", "m.m_hat"))
_AMG_GATE = f.raw("g.weight")
AMG1 = Published(
    "amg1:NALU",
    {"g.weight": "oi"} | io(*_AMG_HATS),
    f.nalu(f.transposed(_AMG_PATHS[0]), f.transposed(_AMG_PATHS[1]), _AMG_GATE),
    1e-10,
    place="",
)
AMG2 = Published("amg2:NALU", oi("g.weight", *_AMG_HATS), f.nalu(*_AMG_PATHS, _AMG_GATE), 1e-10, place="")
AMG3 = [
    # g.bias is an argument of its constructor, on by default
    Published("amg3:NALU", {"eps": "e", "g.weight": "oi"} | bias | oi(*_AMG_HATS), f.clamped_nalu, 1e-8, place="")
    for bias in ({"g.bias": "o"}, {})
]

_STABLE_PLACES = ("layer.", "layer_{}.layer.")


def _stable_nalu(two_nac: bool, two_gate: bool, bias: bool, place: str) -> Published:
    """stable_nalu/layer/_abstract_nalu.py: ``bias_mul`` is there only with two gates."""
    gates = ("add", "mul") if two_gate else ("add",)
    nacs = ("add", "mul") if two_nac else ("add",)
    keys = oi(*(f"G_{gate}" for gate in gates))
    keys |= {f"bias_{gate}": "o" for gate in gates if bias}
    keys |= oi(*(f"nac_{nac}.{key}" for nac in nacs for key in _HATS))
    return Published("stable-nalu:NALU", keys, f.stable_nalu, 1e-7, place=place, rivals=("stable-nalu:G-NALU",))


STABLE_NALU = [
    *(
        Published("stable-nalu:NAC", oi(*_HATS), f.nac(_TRAINED), place=place, rivals=("stable-nalu:NAC*",))
        for place in _STABLE_PLACES
    ),
    *(
        Published("stable-nalu:LinearNAC", oi("W"), f.nac(f.raw("W")), place=place, rivals=("stable-nalu:NAU",))
        for place in _STABLE_PLACES
    ),
    *(
        _stable_nalu(two_nac, two_gate, bias, place)
        for place in _STABLE_PLACES
        for two_nac in (False, True)
        for two_gate in (False, True)
        for bias in (False, True)
    ),
]

# 1e93921 and later; df41cf2, one day older, was stored (outputs, inputs) with nac_add and nac_log.
_JOHNLRR_WEIGHT = f.transposed(_TRAINED)
_JOHNLRR_NALU = f.nalu(_JOHNLRR_WEIGHT, _JOHNLRR_WEIGHT, f.transposed(f.raw("G")))
JOHNLRR = [
    Published("johnlrr:NAC", io(*_HATS), f.nac(_JOHNLRR_WEIGHT), place="", rivals=_PLAIN_NAC[:1]),
    Published("johnlrr:NALU", io(*_HATS, "G"), _JOHNLRR_NALU, 1e-7, place="", rivals=("johnlrr:GNALU",)),
]

# This package's own cells, whose bare keys are Johnlrr's with another orientation and ε.
OWN = [
    Published("nalu-export:NAC", oi(*_HATS), f.nac(_TRAINED), place="", same=_PLAIN_NAC, rivals=("johnlrr:NAC",)),
    Published(
        "nalu-export:NALU",
        oi(*_HATS, "G"),
        f.nalu(_TRAINED, _TRAINED, f.raw("G")),
        1e-10,
        place="",
        rivals=("johnlrr:NALU",),
    ),
]

ALL = [
    *SHIVAMSABOO17, *KEVINZAKKA, *VRXACS, *BHARATHGS, *ARTHURDOUILLARD, *NKARASOVD, *SIMKIR00, *NILABHRA, *GODDOE,
    *SHANGETH, *WASSNAME, AMG1, AMG2, *AMG3, *STABLE_NALU, *JOHNLRR,
    *JOHNLRR_FIRST, *FORKS, *UNNAMED,
]  # fmt: skip
