import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, NACCell, NALUCell, load
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.state_dict import EXPECTED, recognise
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal

State = dict[str, Tensor]

KNOWN: dict[str, Callable[[], NACCell | NALUCell | NAC | NALU]] = {
    "NAC cell": lambda: NACCell(3, 4),
    "NALU cell": lambda: NALUCell(3, 4),
    "untied cell": lambda: NALUCell(3, 4, tied=False),
    "row cell": lambda: NALUCell(3, 4, gate="row"),
    "untied row cell": lambda: NALUCell(3, 4, tied=False, gate="row"),
    "1×1 cell": lambda: NALUCell(1, 1),
    "NAC": lambda: NAC(3, 4, 2),
    "NAC of one layer": lambda: NAC(3, 4),
    "NALU": lambda: NALU(3, 4, 2),
    "untied": lambda: NALU(3, 4, 2, tied=False),
    "row": lambda: NALU(3, 4, 2, gate="row"),
    "row, one output": lambda: NALU(3, 4, 1, gate="row"),
    "untied row": lambda: NALU(3, 4, 2, tied=False, gate="row"),
    # layers.10 sorts before layers.2 as text
    "13 layers": lambda: NAC(*range(2, 16)),
    "13 gated layers": lambda: NALU(*range(15, 1, -1)),
}


@pytest.mark.parametrize("case", KNOWN)
def test_recognised(case: str, tmp_path: Path) -> None:
    model = KNOWN[case]()
    state = model.state_dict()
    torch.save(dict(reversed(state.items())), tmp_path / "model.pt")  # the order of the keys tells nothing
    loaded = load(tmp_path / "model.pt")
    assert repr(loaded) == repr(model)
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    x = torch.rand(5, next(iter(state.values())).shape[1])
    assert torch.equal(loaded(x), model(x))


@pytest.mark.parametrize("legacy", [False, True])
def test_an_ordered_dict_of_torch_is_recognised(legacy: bool, tmp_path: Path) -> None:
    """``model.state_dict()`` is an OrderedDict with ``_metadata``."""
    model = NALU(2, 1)
    (tmp_path / "model.pt").write_bytes(files.torch_bytes(model.state_dict(), legacy=legacy))
    assert torch.equal(load(tmp_path / "model.pt")(torch.ones(1, 2)), model(torch.ones(1, 2)))


def test_a_gate_row_with_one_output_each_is_a_matrix(tmp_path: Path) -> None:
    """(1, in) is both; they compute the same."""
    model = NALU(3, 1, gate="row")
    torch.save(model.state_dict(), tmp_path / "model.pt")
    x = torch.rand(4, 3)
    assert torch.equal(load(tmp_path / "model.pt")(x), model(x))


@pytest.mark.parametrize(
    ("model", "notes"),
    [
        (NALU(2, 3, 1, eps=1e-3), ("a state_dict does not store eps; 1e-10 is assumed",)),
        (NALUCell(2, 1), ("a state_dict does not store eps; 1e-10 is assumed",)),
        (NAC(2, 1), ()),
    ],
    ids=["NALU", "NALUCell", "NAC"],
)
def test_what_is_assumed_is_said(model: nn.Module, notes: tuple[str, ...], tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt").notes == notes


def test_recognised_without_allocating() -> None:
    model = recognise(
        {"W_hat": torch.empty(10**9, 10**9, device="meta"), "M_hat": torch.empty(10**9, 10**9, device="meta")}
    )
    assert all(value.is_meta for value in model.state_dict().values())


def w(*shape: int) -> Tensor:
    return torch.zeros(shape)


def nac(*dims: int, first: int = 0) -> State:
    """A NAC state with layers from number ``first`` on."""
    return {
        f"layers.{first + index}.{name}": w(outputs, inputs)
        for index, (inputs, outputs) in enumerate(itertools.pairwise(dims))
        for name in ("W_hat", "M_hat")
    }


def nalu(index: int, outputs: int, inputs: int, gate: int | None = None) -> State:
    """One layer of a NALU state."""
    prefix = f"layers.{index}."
    return {
        f"{prefix}W_hat": w(outputs, inputs),
        f"{prefix}M_hat": w(outputs, inputs),
        f"{prefix}G": w(outputs if gate is None else gate, inputs),
    }


def foreign(key: str) -> str:
    return (
        f"has the key {key}, so it is not a NAC or NALU stack in this package's naming; expected {EXPECTED}; "
        "for any other model give --model package.module:factory"
    )


REFUSED: dict[str, tuple[State, str]] = {
    "empty": ({}, f"holds no tensor; expected {EXPECTED}"),
    "mixed kinds": (
        nac(3, 4) | nalu(1, 2, 4),
        "mixes layers of NAC and NALU; a stack has one kind",
    ),
    "mixed tying": (
        nalu(0, 4, 3) | nalu(1, 2, 4) | {"layers.1.W_hat_mul": w(2, 4), "layers.1.M_hat_mul": w(2, 4)},
        "mixes layers of NALU and untied NALU; a stack has one kind",
    ),
    "mixed gates": (
        nalu(0, 4, 3, gate=1) | nalu(1, 2, 4),
        "mixes layers with a gate row and layers with a gate matrix; a stack has one kind",
    ),
    "cell and stack": (
        {"W_hat": w(2, 3), "M_hat": w(2, 3)} | nac(3, 2),
        f"mixes keys of a cell (W_hat) and of a stack (layers.0.W_hat); expected {EXPECTED}",
    ),
    "cell and more of the stack": (
        {"W_hat": w(2, 3), "M_hat": w(2, 3)} | nac(3, 2, first=4),
        f"mixes keys of a cell (W_hat) and of a stack (layers.0.W_hat); expected {EXPECTED}",
    ),
    "gap": (nac(3, 4) | nac(4, 2, first=2), "has layers.2 but not layers.1; a stack has no gap"),
    "no first layer": (nac(3, 4, 2, first=1), "has layers.2 but not layers.0; a stack has no gap"),
    "far layer": (nac(3, 4, first=999_999), "has layers.999999 but not layers.0; a stack has no gap"),
    "does not chain": (
        nac(3, 4) | nac(5, 2, first=1),
        "has layers.1.W_hat of shape (2, 5) after a layer with 4 outputs; expected (2, 4)",
    ),
    "rank 1": (
        {"W_hat": w(3), "M_hat": w(3)},
        "has W_hat of shape (3,); expected (out_features, in_features)",
    ),
    "rank 3": (
        {"layers.0.W_hat": w(2, 3, 1), "layers.0.M_hat": w(2, 3, 1)},
        "has layers.0.W_hat of shape (2, 3, 1); expected (out_features, in_features)",
    ),
    "rank 0": ({"W_hat": w(), "M_hat": w()}, "has W_hat of shape (); expected (out_features, in_features)"),
    "no inputs": (
        {"W_hat": w(3, 0), "M_hat": w(3, 0)},
        "has W_hat of shape (3, 0); expected (out_features, in_features)",
    ),
    "M_hat of another shape": (
        {"W_hat": w(2, 3), "M_hat": w(3, 2)},
        "has M_hat of shape (3, 2); expected (2, 3), as W_hat",
    ),
    "G of another shape": (nalu(0, 4, 3, gate=2), "has layers.0.G of shape (2, 3); expected (4, 3), as W_hat"),
    "W_hat only": (
        {"layers.0.W_hat": w(2, 3)},
        f"has only the keys layers.0.W_hat in one layer; expected {EXPECTED}",
    ),
    "G without M_hat": (
        {"G": w(2, 3), "W_hat": w(2, 3)},
        f"has only the keys G, W_hat in one layer; expected {EXPECTED}",
    ),
    "untied without a gate": (
        {name: w(2, 3) for name in ("W_hat", "M_hat", "W_hat_mul", "M_hat_mul")},
        f"has only the keys M_hat, M_hat_mul, W_hat, W_hat_mul in one layer; expected {EXPECTED}",
    ),
    "foreign": ({"fc.weight": w(2, 3)}, foreign("'fc.weight'")),
    "foreign among ours": (nac(3, 2) | {"layers.0.bias": w(2)}, foreign("'layers.0.bias'")),
    "prefixed": ({f"module.{name}": value for name, value in nac(3, 2).items()}, foreign("'module.layers.0.W_hat'")),
    "wrong case": ({"w_hat": w(2, 3)}, foreign("'w_hat'")),
    "line feed": ({"W_hat\n": w(2, 3)}, foreign(r"'W_hat\n'")),
    "Arabic digit": ({"layers.\u0661.W_hat": w(2, 3)}, foreign(r"'layers.\u0661.W_hat'")),
    "endless layer number": (
        {f"layers.{'9' * 5000}.W_hat": w(2, 3)},
        foreign("'layers.9999999999999999999999999999999999999999999999999..."),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, refusal: Refusal) -> None:
    state, text = REFUSED[case]
    assert refusal(files.torch_bytes(state)) == text


@pytest.mark.parametrize("key", ["layers.00.W_hat", "layers.-1.W_hat", "layers..W_hat", "layers.0.layers.0.W_hat"])
def test_odd_layer_numbers(key: str, refusal: Refusal) -> None:
    assert re.match(
        r"has the key|lacks|has .* that the model has not", refusal(files.torch_bytes(nac(3, 2) | {key: w(2, 3)}))
    )
