"""Every public layout as its source writes it: keys in order, shapes, orientation, ε, and what it computes.

Keys, shapes and formulas were read from the sources; a commit stands where a layout is not that of the newest one.
Each tensor is drawn by itself, so that raw parameters beside a stored W are as stale as in a real file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tests.checkpoints.layouts import formulas as f
from tests.checkpoints.layouts.arithmetic import Value, exact

State = dict[str, Tensor]

# A size of its own for each letter that a shape is written in; "e" is the stored ε of a/m/g v3.
_SHAPES = {"oi": (1, 0), "io": (0, 1), "1i": (2, 0), "i1": (0, 2), "11": (2, 2), "o": (1,), "e": ()}
STORED_EPS = 3e-8


@dataclass(frozen=True)
class Published:
    """One layout at one place.

    Attributes:
        layout: ``owner:unit``, as ``--layout`` takes it.
        keys: of a cell, in published order, with a shape: ``oi`` is (outputs, inputs), ``1i`` one row, ``o`` a vector.
        formula: what a cell computes.
        eps: published ε, None where the formula has none.
        place: what stands before the keys; ``{}`` is the number of the layer in a stack.
        same: other names for the same function of the same keys.
        rivals: layouts with the same keys and shapes that compute something else.
        square: whether only cells with as many inputs as outputs run in the original.
        aliases: keys that share the storage of another key.
        unread: keys that nothing reads, beside others of the same kind that compute.
        hats: keys that are raw parameters in spite of a name that says a weight.
        one_way: whether only nn.Linear holds its matrices, so that their orientation is known.
        gate_of_one: whether a gate for one input has the shape of a gate that sees none, of another layout.
        scales: of tensors that have to be small for the formula to stay finite.
    """

    layout: str
    keys: Mapping[str, str]
    formula: f.Formula
    eps: float | None = None
    place: str = "model.{}."
    same: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    square: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    hats: tuple[str, ...] = ()
    one_way: bool = False
    gate_of_one: bool = False
    scales: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.layout} {self.place}{next(iter(self.keys))}"

    def option(self, dims: tuple[int, ...]) -> str | None:
        """What ``--layout`` has to say, None where keys and shapes tell: square layers may be stored either way."""
        square = len(set(dims)) == 1 and dims[0] > 1 and not self.one_way
        narrow = self.gate_of_one and set(dims[:-1]) == {1}
        return self.layout if self.rivals or square or narrow else None

    @property
    def stacks(self) -> bool:
        """Whether more than one layer can stand at this place."""
        return "{}" in self.place

    @property
    def computing(self) -> set[str]:
        """Keys of the tensors that the formula uses: a stored W wins over the raw parameters beside it."""
        silent = {*self.aliases, *self.unread}
        return {key for key in self.keys if not (self.faux and _is_raw(key)) and key not in silent}

    @property
    def faux(self) -> bool:
        """Whether a stored W computes."""
        return any(_is_stored(key) for key in self.keys if key not in self.hats)

    def prefixes(self, layers: int) -> list[str]:
        """What stands before the keys of each layer; stable-nalu counts from 1."""
        first = 1 if self.place.startswith("layer_") else 0
        return [self.place.format(first + index) for index in range(layers)]

    def state(self, rng: np.random.Generator, dims: tuple[int, ...], dtype: torch.dtype = torch.float32) -> State:
        """A state_dict of this layout with random tensors of a precision."""
        found: State = {}
        for prefix, (inputs, outputs) in zip(self.prefixes(len(dims) - 1), pairwise(dims), strict=True):
            drawn = {key: _drawn(rng, key, shape, inputs, outputs) for key, shape in self.keys.items()}
            cell = {key: (value * self.scales.get(key, 1.0)).to(dtype) for key, value in drawn.items()}
            cell |= {key: cell[source] for key, source in self.aliases.items()}
            found |= {prefix + key: cell[key] for key in self.keys}
        return found

    def reference(self, state: State, x: npt.NDArray[np.float64] | Value, eps: float | None = None) -> Value:
        """The formula in extended precision, and the size of what float64 may lose on the way."""
        layers = len(state) // len(self.keys)
        value = x if isinstance(x, Value) else exact(x)
        for prefix in self.prefixes(layers):
            cell = {key: state[prefix + key].double().numpy().astype(np.longdouble) for key in self.keys}
            default = float(cell["eps"]) if "eps" in cell else self.eps or 0.0
            value = self.formula(cell, value, default if eps is None else eps)
        return value


def _is_stored(key: str) -> bool:
    return key.endswith(("W", "weights"))


def _is_raw(key: str) -> bool:
    return key.endswith(("W_hat", "M_hat", "W_", "M_", "W1", "W2", "w_hat", "m_hat"))


def _drawn(rng: np.random.Generator, key: str, shape: str, inputs: int, outputs: int) -> Tensor:
    if shape == "e":
        return torch.tensor(STORED_EPS)
    sizes = (inputs, outputs, 1)
    spread = 1.5 if _is_raw(key) else 0.5  # tanh·σ brings the wide ones down
    drawn = rng.normal(0.0, spread, [sizes[axis] for axis in _SHAPES[shape]])
    if _is_stored(key):
        drawn.flat[0] = -1.25  # a stored W is not held inside [−1, 1], as tanh·σ is
    return torch.from_numpy(drawn.astype(np.float32))


def _oi(*keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, "oi")


def _io(*keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, "io")


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
    Published("shivamsaboo17:NAC", _oi("W"), f.nac(f.raw("W"))),
    Published("shivamsaboo17:NAC", _oi("W"), f.nac(f.raw("W")), place="", rivals=("johnlrr:NAU",)),
    *(
        Published("shivamsaboo17:NALU", _oi("G", "W", "nac.W"), _UNTIED_FAUX, 1e-10, place=place)
        for place in ("model.{}.", "")
    ),
]

# The same function of the same keys for as long as the chain of a stack or a prefix shows the orientation.
_PLAIN_NAC = ("kevinzakka:NAC", "vrxacs:NAC", "nilabhra:NAC")
_FAUX_NAC = ("kevinzakka:fauxNAC", "nkarasovd:NAC", "simkir00:NAC")
KEVINZAKKA = [
    Published("kevinzakka:NAC", _oi(*_HATS), f.nac(_TRAINED), same=_PLAIN_NAC),
    Published("kevinzakka:NAC", _oi(*_HATS), f.nac(_TRAINED), place="", same=_PLAIN_NAC, rivals=("johnlrr:NAC",)),
    Published("kevinzakka:NALU", _oi("G", *_NAC_HATS), _TIED, 1e-10),
    Published("kevinzakka:NALU", _oi("G", *_NAC_HATS), _TIED, 1e-10, place=""),
    # 5bf6e24 to f4941c5
    Published("kevinzakka:fauxNAC", _oi(*_FAUX), f.nac(f.raw("W")), same=_FAUX_NAC),
    Published("kevinzakka:fauxNAC", _oi(*_FAUX), f.nac(f.raw("W")), place="", rivals=("goddoe:NAC",)),
    # 5bf6e24 to 3632c23
    Published("kevinzakka:fauxNALU-untied", _oi("G", "W", *_NAC_FAUX), _UNTIED_FAUX, 1e-10),
    Published("kevinzakka:fauxNALU-untied", _oi("G", "W", *_NAC_FAUX), _UNTIED_FAUX, 1e-10, place=""),
    # f4941c5
    Published("kevinzakka:fauxNALU", _oi("G", *_NAC_FAUX), _TIED_FAUX, 1e-10, rivals=("wassname:NALU_sinh",)),
    Published("kevinzakka:fauxNALU", _oi("G", *_NAC_FAUX), _TIED_FAUX, 1e-10, place="", rivals=("goddoe:NALU",)),
]

_VRXACS_WEIGHT = f.effective("NAC.W_hat", "NAC.M_hat")
_VRXACS_NALU = f.nalu(_VRXACS_WEIGHT, _VRXACS_WEIGHT, f.raw("G"))
_VRXACS_KEYS = {"G": "1i", "NAC.W_hat": "oi", "NAC.M_hat": "oi"}
VRXACS = [
    Published("vrxacs:NAC", _oi(*_HATS), f.nac(_TRAINED), place="", same=_PLAIN_NAC, rivals=("johnlrr:NAC",)),
    Published("vrxacs:NALU", _VRXACS_KEYS, _VRXACS_NALU, 1e-6, place=""),
    Published("vrxacs:NALU", _VRXACS_KEYS, _VRXACS_NALU, 1e-6, place="{}."),
    # fauxNAC.ipynb
    Published("vrxacs:fauxNAC", _oi(*_HATS, "weights"), f.nac(f.raw("weights")), place=""),
    Published("vrxacs:fauxNAC", _oi(*_HATS, "weights"), f.nac(f.raw("weights")), place="{}."),
]

# NaluCell(i, o) builds NacCell(o, i) in every release, so that only square cells run.
_BHARATHGS_HATS = ("nac.W_", "nac.M_")
_BHARATHGS_WEIGHT = f.effective(*_BHARATHGS_HATS)
BHARATHGS = [
    # 0.0.3 and 0.0.4
    Published("bharathgs:NAC", _oi("W_", "M_"), f.nac(f.effective("W_", "M_")), place=""),
    *(
        Published(
            "bharathgs:NALU",
            _oi("G", *_BHARATHGS_HATS),
            f.nalu(_BHARATHGS_WEIGHT, _BHARATHGS_WEIGHT, f.raw("G")),
            1e-5,
            place=place,
            square=True,
        )
        for place in ("", "model.{}.")
    ),
    # 0.0.2, e0d8524
    Published("bharathgs:fauxNAC", _oi("W_", "M_", "W"), f.nac(f.raw("W")), place=""),
    Published("bharathgs:fauxNALU", _oi("G", *_BHARATHGS_HATS, "nac.W"), _TIED_FAUX, 1e-5, square=True),
    # 0.0.1, 98e3a55
    Published("bharathgs:fauxNALU-untied", _oi("G", "W", *_BHARATHGS_HATS, "nac.W"), _UNTIED_FAUX, 1e-5, square=True),
]

_DOUILLARD_HATS = ("_W_hat", "_M_hat", "W_hat", "M_hat")
_DOUILLARD_WEIGHT = f.transposed(f.effective("_nac._W_hat", "_nac._M_hat"))
ARTHURDOUILLARD = [
    *(
        Published(
            "arthurdouillard:NAC",
            _io(*_DOUILLARD_HATS),
            f.nac(f.transposed(f.effective("_W_hat", "_M_hat"))),
            place=place,
            aliases={"W_hat": "_W_hat", "M_hat": "_M_hat"},
        )
        for place in ("", "_nac_stack.{}.")
    ),
    *(
        Published(
            "arthurdouillard:NALU",
            {"_G": "i1", "G": "i1"} | _io(*(f"_nac.{key}" for key in _DOUILLARD_HATS)),
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
    keys = _oi("G", *(f"{nac}.{key}" for nac in (add, mul) for key in _FAUX))
    return Published(f"{owner}:NALU", keys, f.nalu(f.raw(f"{add}.W"), f.raw(f"{mul}.W"), f.raw("G")), 1e-10)


NKARASOVD = [
    Published("nkarasovd:NAC", _oi(*_FAUX), f.nac(f.raw("W")), same=_FAUX_NAC),
    _two_nacs("nkarasovd", "NACCell_1", "NACCell_2"),
]
SIMKIR00 = [_two_nacs("simkir00", "NAC_cell_1", "NAC_cell_2")]

_NILABHRA_KEYS = {"G": "11"} | _oi(*_NAC_HATS)
NILABHRA = [
    Published("nilabhra:NALU", _NILABHRA_KEYS, f.constant_gate, 1e-12, place=""),
    # NALU_experiments.ipynb: nn.Sequential of two
    Published("nilabhra:NALU", _NILABHRA_KEYS, f.constant_gate, 1e-12, place="{}."),
]

_GODDOE_WEIGHT = f.transposed(f.raw("nac.W"))
GODDOE = [
    Published("goddoe:NAC", _io(*_FAUX), f.nac(f.transposed(f.raw("W"))), place="", rivals=("kevinzakka:fauxNAC",)),
    Published(
        "goddoe:NALU",
        _io("G", *_NAC_FAUX),
        f.nalu(_GODDOE_WEIGHT, _GODDOE_WEIGHT, f.transposed(f.raw("G"))),
        1e-8,
        place="",
        rivals=("kevinzakka:fauxNALU",),
    ),
]

SHANGETH = [
    Published("shangeth:NAC", _oi("W1", "W2", "W"), f.nac(f.raw("W")), place=""),
    Published("shangeth:NALU", _oi("G", "W", "nac.W1", "nac.W2", "nac.W"), _UNTIED_FAUX, 1e-5, place=""),
]

WASSNAME = [
    Published(
        "wassname:NAC_exact",
        {"gate.weight": "oi", "gate.bias": "o", "transform.weight": "oi", "transform.bias": "o"},
        f.nac_exact,
        one_way=True,
    ),
    Published("wassname:NALU_sinh", _oi("G", *_NAC_FAUX), f.nalu_sinh, rivals=("kevinzakka:fauxNALU",)),
]

_AMG_HATS = ("a.w_hat", "a.m_hat", "m.w_hat", "m.m_hat")
_AMG_PATHS = (f.effective("a.w_hat", "a.m_hat"), f.effective("m.w_hat", "m.m_hat"))
_AMG_GATE = f.raw("g.weight")
AMG1 = Published(
    "amg1:NALU",
    {"g.weight": "oi"} | _io(*_AMG_HATS),
    f.nalu(f.transposed(_AMG_PATHS[0]), f.transposed(_AMG_PATHS[1]), _AMG_GATE),
    1e-10,
    place="",
)
AMG2 = Published("amg2:NALU", _oi("g.weight", *_AMG_HATS), f.nalu(*_AMG_PATHS, _AMG_GATE), 1e-10, place="")
AMG3 = [
    # g.bias is an argument of its constructor, on by default
    Published("amg3:NALU", {"eps": "e", "g.weight": "oi"} | bias | _oi(*_AMG_HATS), f.clamped_nalu, 1e-8, place="")
    for bias in ({"g.bias": "o"}, {})
]

_STABLE_PLACES = ("layer.", "layer_{}.layer.")


def _stable_nalu(two_nac: bool, two_gate: bool, bias: bool, place: str) -> Published:
    """stable_nalu/layer/_abstract_nalu.py: ``bias_mul`` is there only with two gates."""
    gates = ("add", "mul") if two_gate else ("add",)
    nacs = ("add", "mul") if two_nac else ("add",)
    keys = _oi(*(f"G_{gate}" for gate in gates))
    keys |= {f"bias_{gate}": "o" for gate in gates if bias}
    keys |= _oi(*(f"nac_{nac}.{key}" for nac in nacs for key in _HATS))
    return Published("stable-nalu:NALU", keys, f.stable_nalu, 1e-7, place=place, rivals=("stable-nalu:G-NALU",))


STABLE_NALU = [
    *(
        Published("stable-nalu:NAC", _oi(*_HATS), f.nac(_TRAINED), place=place, rivals=("stable-nalu:NAC*",))
        for place in _STABLE_PLACES
    ),
    *(
        Published("stable-nalu:LinearNAC", _oi("W"), f.nac(f.raw("W")), place=place, rivals=("stable-nalu:NAU",))
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
    Published("johnlrr:NAC", _io(*_HATS), f.nac(_JOHNLRR_WEIGHT), place="", rivals=_PLAIN_NAC[:1]),
    Published("johnlrr:NALU", _io(*_HATS, "G"), _JOHNLRR_NALU, 1e-7, place="", rivals=("johnlrr:GNALU",)),
]

# df41cf2, the first commit
_FIRST = {"add": f.effective("nac_add.W_hat", "nac_add.M_hat"), "log": f.effective("nac_log.W_hat", "nac_log.M_hat")}
JOHNLRR_FIRST = [
    Published(
        "johnlrr:NALU-first",
        _oi("G", *(f"nac_{path}.{key}" for path in ("add", "log") for key in _HATS)),
        f.nalu(_FIRST["add"], _FIRST["log"], f.raw("G")),
        1e-7,
        place="",
    ),
    Published(
        "johnlrr:iNALU-first",
        _oi("G", *(f"nac_{path}.{key}" for path in ("add", "mul") for key in _HATS)),
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
            {"G": "oi"} | _io(*_BHARATHGS_HATS),
            f.nalu(f.transposed(_FORK_HATS), f.transposed(_FORK_HATS), f.raw("G")),
            1e-5,
            place=place,
        )
        for place in ("", "model.{}.")
    ),
    *(
        Published(
            "bharathgs-repaired:NALU",
            _oi("G", *_BHARATHGS_HATS),
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
        _io("nac.w_hat", "nac.m_hat") | {"gate.weight": "oi", "gate.bias": "o"},
        f.linear_gate,
        1e-7,
        place="layers.{}.",
    ),
    Published("short-hats:NALU", _oi("W_h", "M_h", "G"), f.nalu(_SHORT, _SHORT, f.raw("G")), 1e-10, place=""),
    Published(
        "flat:NALU",
        _oi(*_HATS, "G"),
        f.nalu(_TRAINED, _TRAINED, f.raw("G")),
        1e-7,
        place="",
        rivals=("johnlrr:NALU", "nalu-export:NALU"),
    ),
    Published("raw:NALU", _oi("G", "W", "M"), f.nalu(f.raw("W"), f.raw("M"), f.raw("G")), 1e-7, place=""),
    Published("unread-hats:NALU", _oi(*_HATS, "G", *_NAC_HATS), _TIED, 1e-8, place="", unread=_HATS),
    Published(
        "nac-a-m:NALU",
        _oi("G", *_PATHS),
        f.nalu(f.effective(*_PATHS[:2]), f.effective(*_PATHS[2:]), f.raw("G")),
        1e-12,
        place="",
        rivals=("nac-a-m:iNALU",),
    ),
    Published("tch-rs:NAC", _oi("W", "M"), f.nac(f.effective("W", "M")), place="", hats=("W",)),
    Published(
        "tch-rs:NALU", _oi("G", "nac.W", "nac.M"), f.nalu(_TCH, _TCH, f.raw("G")), 1e-5, place="", hats=("nac.W",)
    ),
    Published("no-log:NAC", _oi(*_DENSE_NAC), f.nac(f.effective(*_DENSE_NAC)), place="", hats=_DENSE_NAC),
    Published(
        "no-log:NALU",
        _oi(*_DENSE, "gate_weights"),
        f.logless_nalu,
        1e-12,
        place="",
        hats=(*_DENSE, "gate_weights"),
        scales={_DENSE[0]: 1e-3},
    ),
    *(
        Published(
            "snalu:NALU",
            {"_G": "11"} | dict.fromkeys(gate, "11") | _io(*_SNALU_HATS, *twice),
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

# This package's own cells, whose bare keys are Johnlrr's with another orientation and ε.
OWN = [
    Published("nalu-export:NAC", _oi(*_HATS), f.nac(_TRAINED), place="", same=_PLAIN_NAC, rivals=("johnlrr:NAC",)),
    Published(
        "nalu-export:NALU",
        _oi(*_HATS, "G"),
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
