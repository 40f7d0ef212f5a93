"""Files whose keys and shapes fit layouts that compute different things: refused with the candidates, never guessed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints.conftest import Refusal
from tests.checkpoints.files import torch_bytes
from tests.checkpoints.layouts import published
from tests.checkpoints.layouts.case import Published, State
from tests.checkpoints.layouts.loading import RELATIVE, inputs, opened, outputs, worst
from tests.checkpoints.layouts.published import ALL


@dataclass(frozen=True)
class Ambiguous:
    """Keys of a file, and what it may be.

    Attributes:
        keys: with their shapes.
        readable: layouts that can be chosen.
        known: layouts that are named but not read in this release.
    """

    keys: dict[str, tuple[int, ...]]
    readable: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def _keys(shape: tuple[int, ...], *names: str, place: str = "") -> dict[str, tuple[int, ...]]:
    return {place + name: shape for name in names}


_HATS = ("W_hat", "M_hat")
_FAUX_NALU = ("G", "nac.W_hat", "nac.M_hat", "nac.W")
_NALU = ("G_add", "nac_add.W_hat", "nac_add.M_hat")
_OBLONG, _SQUARE = (4, 3), (3, 3)

# CHECKPOINTS.md, section 3, from its first point to its last.
AMBIGUOUS: dict[str, Ambiguous] = {
    **{
        f"1. a bare NAC {shape}": Ambiguous(
            _keys(shape, *_HATS), ("kevinzakka:NAC", "johnlrr:NAC"), ("stable-nalu:NAC*", "johnlrr:NAC_mul")
        )
        for shape in (_OBLONG, _SQUARE, (1, 1))
    },
    "1. a NAC of stable-nalu": Ambiguous(
        _keys(_OBLONG, *_HATS, place="layer_1.layer."), ("stable-nalu:NAC",), ("stable-nalu:NAC*", "stable-nalu:G-NAC")
    ),
    "1. two NACs of stable-nalu": Ambiguous(
        _keys((2, 5), *_HATS, place="layer_1.layer.") | _keys((1, 2), *_HATS, place="layer_2.layer."),
        ("stable-nalu:NAC",),
        ("stable-nalu:NAC*", "stable-nalu:G-NAC"),
    ),
    **{
        f"2. a bare faux NAC {shape}": Ambiguous(_keys(shape, *_HATS, "W"), ("kevinzakka:fauxNAC", "goddoe:NAC"))
        for shape in (_OBLONG, _SQUARE)
    },
    **{
        f"2. a bare faux NALU {shape}": Ambiguous(_keys(shape, *_FAUX_NALU), ("kevinzakka:fauxNALU", "goddoe:NALU"))
        for shape in (_OBLONG, _SQUARE)
    },
    "2. a faux NALU in a stack": Ambiguous(
        _keys(_OBLONG, *_FAUX_NALU, place="model.0.") | _keys((2, 4), *_FAUX_NALU, place="model.1."),
        ("kevinzakka:fauxNALU", "wassname:NALU_sinh"),
    ),
    "3. one W": Ambiguous(
        _keys(_OBLONG, "W"), ("shivamsaboo17:NAC",), ("johnlrr:NAU", "johnlrr:NMU", "johnlrr:iNPU", "stable-nalu:NAU")
    ),
    "3. one W of stable-nalu": Ambiguous(
        _keys(_OBLONG, "W", place="layer_1.layer."),
        ("stable-nalu:LinearNAC",),
        ("stable-nalu:NAU", "stable-nalu:PosNAU", "stable-nalu:NMU"),
    ),
    "4. a NALU of stable-nalu": Ambiguous(
        _keys(_OBLONG, *_NALU, place="layer_1.layer."), ("stable-nalu:NALU",), ("stable-nalu:G-NALU",)
    ),
    "5. one W_hat": Ambiguous(
        _keys(_OBLONG, "W_hat", place="layer_1.layer."), known=("stable-nalu:PosNAC", "stable-nalu:MNAC")
    ),
    "6. a multiplying MC-FC": Ambiguous(
        {
            "layer_1.layer.bias": (1,),
            "layer_1.layer.mcfc.out_gate.fc.weight": (1, 1),
            "layer_1.layer.mcfc.out_gate.fc.bias": (1,),
            "layer_1.layer.mcfc.junction.r": (2, 1),
        },
        known=("stable-nalu:MulMCFC", "stable-nalu:MulMCFCSignINALU"),
    ),
    "7. a basic layer": Ambiguous(
        {"layer_1.layer.W": (1, 2), "layer_1.layer.bias": (1,)}, known=("stable-nalu:BasicLayer",)
    ),
    "bare W_hat, M_hat, G": Ambiguous(
        _keys(_SQUARE, *_HATS, "G"), ("johnlrr:NALU", "nalu-export:NALU", "flat:NALU"), ("johnlrr:GNALU",)
    ),
    "forks of bharathgs, square": Ambiguous(
        _keys(_SQUARE, "G", "nac.W_", "nac.M_"), ("bharathgs:NALU", "bharathgs-io:NALU", "bharathgs-repaired:NALU")
    ),
    "forks of bharathgs, square stack": Ambiguous(
        _keys(_SQUARE, "G", "nac.W_", "nac.M_", place="model.0."),
        ("bharathgs:NALU", "bharathgs-io:NALU", "bharathgs-repaired:NALU"),
    ),
    "nac_a and nac_m": Ambiguous(
        _keys(_OBLONG, "G", "nac_a.W_hat", "nac_a.M_hat", "nac_m.W_hat", "nac_m.M_hat"),
        ("nac-a-m:NALU",),
        ("nac-a-m:iNALU",),
    ),
    "a signed gate for one input": Ambiguous(
        _keys((1, 1), "_G", "G") | _keys((1, 3), "_nac._W_hat", "_nac._M_hat", "_nac.W_hat", "_nac.M_hat"),
        ("arthurdouillard:NALU", "snalu:NALU"),
    ),
    "a/m/g, square": Ambiguous(
        _keys(_SQUARE, "g.weight", "a.w_hat", "a.m_hat", "m.w_hat", "m.m_hat"), ("amg1:NALU", "amg2:NALU")
    ),
    "a gate of one number, 1 → 1": Ambiguous(
        _keys((1, 1), "G", "nac.W_hat", "nac.M_hat"), ("kevinzakka:NALU", "nilabhra:NALU")
    ),
}


def _state(case: Ambiguous, seed: int = 1) -> State:
    rng = np.random.default_rng(seed)
    drawn = {key: torch.from_numpy(rng.normal(0.0, 0.7, shape).astype(np.float32)) for key, shape in case.keys.items()}
    return {key: drawn.get(_private(key), value) for key, value in drawn.items()}


def _private(key: str) -> str:
    """The first name of a parameter that arthurdouillard registers twice."""
    path, dot, name = key.rpartition(".")
    return f"{path}{dot}_{name}"


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_refused_with_the_candidates(name: str, refusal: Refusal) -> None:
    case = AMBIGUOUS[name]
    text = refusal(torch_bytes(_state(case)))
    assert ("layout='OWNER:UNIT'" in text) == bool(case.readable)
    assert [candidate for candidate in (*case.readable, *case.known) if candidate not in text] == []
    assert next(iter(case.keys)) in text


CHOICES = [
    pytest.param(name, layout, id=f"{name} as {layout}") for name, case in AMBIGUOUS.items() for layout in case.readable
]


@pytest.mark.parametrize(("name", "layout"), CHOICES)
def test_the_choice_decides_what_is_computed(name: str, layout: str, tmp_path: Path) -> None:
    case = AMBIGUOUS[name]
    state = _state(case, 2)
    source = _published(layout, state)
    first = source.prefixes(1)[0] + next(iter(source.computing))
    x = inputs(np.random.default_rng(3), _features(source, state, first))
    checkpoint = opened(state, tmp_path, layout=layout)
    assert checkpoint.layout == layout
    assert worst(outputs(checkpoint.model, x), source.reference(state, x)) <= RELATIVE


def _published(layout: str, state: State) -> Published:
    """The published layout with the place that these keys have."""
    return next(
        case
        for case in (*ALL, *published.OWN)
        if case.layout == layout and state.keys() >= {case.prefixes(1)[0] + key for key in case.keys}
    )


def _features(source: Published, state: State, key: str) -> int:
    """Inputs of the first layer, from the axis that its published shape puts them on."""
    shape = source.keys[key.removeprefix(source.prefixes(1)[0])]
    return 1 if shape == "11" else state[key].shape[shape.index("i")]


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_is_known_but_not_read_is_refused_by_name(name: str, refusal: Refusal) -> None:
    case = AMBIGUOUS[name]
    for layout in case.known:
        text = refusal(torch_bytes(_state(case)), layout=layout)
        assert layout in text


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_layout_of_other_keys_is_refused(name: str, refusal: Refusal) -> None:
    text = refusal(torch_bytes(_state(AMBIGUOUS[name])), layout="bharathgs:NAC")
    assert "bharathgs:NAC" in text
    assert "W_" in text


def test_an_unknown_owner_is_refused_with_the_known_ones(refusal: Refusal) -> None:
    text = refusal(torch_bytes(_state(AMBIGUOUS["a/m/g, square"])), layout="nobody")
    assert "nobody" in text
    assert {case.layout.split(":")[0] for case in ALL} - set(text.replace(",", " ").split()) == set()


def test_an_unknown_unit_is_refused_with_the_known_ones(refusal: Refusal) -> None:
    text = refusal(torch_bytes(_state(AMBIGUOUS["a/m/g, square"])), layout="goddoe:GRU")
    assert all(name in text for name in ("goddoe:GRU", "NAC", "NALU"))


@pytest.mark.parametrize(
    ("name", "owner"),
    [("1. a bare NAC (3, 3)", "johnlrr"), ("4. a NALU of stable-nalu", "stable-nalu")],
)
def test_an_owner_whose_units_differ_is_still_ambiguous(name: str, owner: str, refusal: Refusal) -> None:
    """``--layout OWNER`` narrows; where two units of that owner are left, both are named and no other owner's."""
    case = AMBIGUOUS[name]
    text = refusal(torch_bytes(_state(case)), layout=owner)
    candidates = {*case.readable, *case.known}
    assert {candidate for candidate in candidates if candidate in text} == {
        candidate for candidate in candidates if candidate.startswith(f"{owner}:")
    }
